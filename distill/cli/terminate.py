"""SIGTERM means what Ctrl-C means: what is whole is kept, what has begun ends, and one line says so. Torch-free."""

import os
import signal
from types import FrameType


def treat_termination_as_ctrl_c() -> None:
    """From now on SIGTERM to this process is answered as Ctrl-C is; processes that are forked from it die of it as ever."""
    owner = os.getpid()

    def answer(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, answer)
