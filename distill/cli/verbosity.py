"""How much is told on standard error: errors alone, the usual, or everything. Torch-free."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

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


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """What a decoder has to say of a photo's odd metadata is nothing that a user can mend; with ``--verbose`` it is told.

    Python's warnings are ignored, and what C libraries write to standard error, past Python, goes nowhere.
    """
    if is_verbose():
        yield
        return
    sys.stderr.flush()
    own, kept = sys.stderr, os.dup(2)
    try:
        if own is sys.__stderr__ and isinstance(own, TextIOWrapper):
            sys.stderr = open(kept, "w", encoding=own.encoding, errors=own.errors, buffering=1, closefd=False)  # noqa: PTH123, SIM115
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        sys.stderr = own
        os.close(kept)


def show_traceback(error: BaseException) -> None:
    """Where the error was found, for whoever asked for everything."""
    if is_verbose():
        import traceback

        traceback.print_exception(error, file=sys.stderr)
