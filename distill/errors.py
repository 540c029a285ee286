"""Errors that a user can mend. The command line prints them in one line, without a traceback."""

from collections.abc import Iterable


class EdgeproofError(Exception):
    """Bad input or usage: names the thing, what was found and what was expected. Exit code 2.

    Attributes:
        student: name of the one whose stage of a run it ended, if it was one's.
        runtime: the one that refused a model, if one did.
        form: folder of the artifact of a run that could not be made, if it was one alone.
    """

    exit_code = 2
    student: str = ""
    runtime: str = ""
    form: str = ""


class MistakesError(EdgeproofError):
    """Several mistakes at once, each of its arguments one of them; told a line each."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class GateFailedError(EdgeproofError):
    """A gate (audit, parity, accuracy) failed; everything was written all the same. Exit code 1."""

    exit_code = 1


class StoppedError(EdgeproofError):
    """The user, or the system, ended the work; what was whole is kept. Exit code 130 or 143 (:mod:`distill.cli.terminate`)."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def cause(error: OSError) -> str:
    """What the system said, in words; some errors have none of the system's."""
    return error.strerror or str(error) or type(error).__name__


def refusal(message: str, *, runtime: str) -> EdgeproofError:
    """What a runtime has against a model, such as an operator that it lacks."""
    error = EdgeproofError(message)  # an argument of its own would be lost on the way from another process
    error.runtime = runtime
    return error


def unknown_name(*, kind: str, given: str, choices: Iterable[str]) -> EdgeproofError:
    """The one wording for a name that is not in a table."""
    return EdgeproofError(f"unknown {kind} {given!r}; choose one of: {', '.join(sorted(choices))}")
