"""Errors that a user can mend. The command line prints them in one line, without a traceback."""

from collections.abc import Iterable


class EdgeproofError(Exception):
    """Bad input or usage: names the thing, what was found and what was expected. Exit code 2.

    Attributes:
        student: name of the one whose stage of a run it ended, if it was one's.
    """

    exit_code = 2
    student: str = ""


class MistakesError(EdgeproofError):
    """Several mistakes at once, each of its arguments one of them; told a line each."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class GateFailedError(EdgeproofError):
    """A gate (audit, parity, accuracy) failed; everything was written all the same. Exit code 1."""

    exit_code = 1


def unknown_name(*, kind: str, given: str, choices: Iterable[str]) -> EdgeproofError:
    """The one wording for a name that is not in a table."""
    return EdgeproofError(f"unknown {kind} {given!r}; choose one of: {', '.join(sorted(choices))}")
