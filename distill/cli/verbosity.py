"""How much is told on standard error: errors alone, the usual, or everything. Torch-free."""

import sys

QUIET, USUAL, VERBOSE = range(3)
_level = [USUAL]


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """For the rest of the process."""
    _level[0] = QUIET if quiet else VERBOSE if verbose else USUAL


def is_quiet() -> bool:
    """No progress, no notes: errors and what was asked for alone."""
    return _level[0] == QUIET


def is_verbose() -> bool:
    """Everything, what libraries warn of included."""
    return _level[0] == VERBOSE


def show_traceback(error: BaseException) -> None:
    """Where the error was found, for whoever asked for everything."""
    if is_verbose():
        import traceback

        traceback.print_exception(error, file=sys.stderr)
