"""SIGTERM means what Ctrl-C means: what is whole is kept, what has begun ends, and one line says so. Torch-free.

Only the exit code tells them apart, as a shell expects it: 130 after Ctrl-C (SIGINT), 143 after SIGTERM.
"""

import os
import signal
from types import FrameType

from distill.errors import StoppedError

BY_CTRL_C, BY_TERMINATION = 128 + signal.SIGINT, 128 + signal.SIGTERM
_terminated: list[int] = []


def treat_termination_as_ctrl_c() -> None:
    """From now on SIGTERM to this process is answered as Ctrl-C is; processes that are forked from it die of it as ever."""
    owner = os.getpid()

    def answer(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        _terminated.append(number)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, answer)


def stopped(onwards: str = "") -> StoppedError:
    """What ends a command that was told to end; ``onwards`` says what is kept."""
    who = "SIGTERM" if _terminated else "Ctrl-C"
    return StoppedError(f"stopped by {who}{onwards}", exit_code=stop_code())


def stop_code() -> int:
    """The exit code of a command that was told to end."""
    return BY_TERMINATION if _terminated else BY_CTRL_C


def die_of_signals() -> None:
    """Nothing is left to keep: either signal ends the process at once, without a word of Python's."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
