"""One attack: files in a folder, a command on them, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MOST_S = 5.0  # of the processor
LONGEST_S = 60.0  # of the clock: on a busy machine a process waits for its turn
MOST_BYTES = 1_500_000_000
LONGEST_LINE = 20_000


@dataclass(frozen=True)
class Case:
    """Several inputs that one command meets.

    Attributes:
        area: for the table.
        inputs: how many damaged inputs these are.
        write: puts them into an empty folder, and returns the command's arguments.
        seconds: of the processor, at most; more inputs may take longer.
        alone: gives the same case for each input by itself, to find the one that is to blame.
        answers: table that the command writes into the folder, whose rows without an error are inputs that were decoded;
            "" where nobody tells.
    """

    area: str
    inputs: int
    write: Callable[[Path], Sequence[str]]
    seconds: float = MOST_S
    alone: "Callable[[], Sequence[Case]] | None" = None
    answers: str = ""


@dataclass
class Outcome:
    """What a command did.

    Attributes:
        code: exit code; negative: the signal that ended it.
        seconds: of the processor; of one that was ended, of the clock.
        peak_bytes: resident memory at most.
        error: standard error.
        left: temporary files that it left behind.
        finding: "" if it survived, otherwise what is wrong.
        decoded: inputs that got an answer; None where nobody tells.
    """

    code: int
    seconds: float
    peak_bytes: int
    error: str = ""
    left: Sequence[str] = field(default_factory=tuple)
    finding: str = ""
    decoded: int | None = None


def judge(outcome: Outcome, *, seconds: float = MOST_S) -> str:
    """What is wrong with an outcome, "" if nothing."""
    lines = outcome.error.splitlines()
    if outcome.seconds > seconds:
        return f"took {outcome.seconds:.1f} s"
    if outcome.code < 0:
        return f"ended by signal {-outcome.code}"
    if "Traceback" in outcome.error or "Exception ignored" in outcome.error:
        return f"traceback: {lines[-1] if lines else ''}"
    if outcome.code not in (0, 1, 2):
        return f"exit code {outcome.code}"
    if outcome.peak_bytes > MOST_BYTES:
        return f"peak memory {outcome.peak_bytes / 1e9:.2f} GB"
    if outcome.left:
        return f"left {', '.join(outcome.left)}"
    if outcome.code == 2 and not any(line.startswith(("edgeproof: ", "Usage: ")) for line in lines):
        return "exit code 2 without a word"
    odd = next((line for line in lines if not line.isprintable() or len(line) > LONGEST_LINE), None)
    if odd is not None:
        return f"a line of {len(odd)} characters: {odd[:80]!r}"
    return ""
