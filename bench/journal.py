"""What a bench has measured so far, a line a round, so that one that was killed goes on where it was. Torch-free.

Lines are only ever appended, and each is whole or cut off at the end of the file; a cut one is dropped. The first names the
plan: what is timed, and how. A journal of another plan is no beginning of this one.
"""

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench.contestant import Contestant
from bench.visits import Visit
from distill.errors import EdgeproofError
from distill.files import write_bytes
from distill.record import Frozen


class Plan(Frozen):
    """The first line."""

    schema_version: Literal[1] = 1
    plan: str


class Calls(Frozen):
    """One visit: milliseconds of calls; see :class:`bench.visits.Visit`."""

    clean: tuple[float, ...] = ()
    slowed: tuple[float, ...] = ()
    spoiled: tuple[float, ...] = ()


class Left(Frozen):
    """Why a contestant takes part no longer."""

    reason: str
    skipped: bool


class Round(Frozen):
    """A round of one group, by contestants' numbers; ``number`` 0 is the set-up.

    ``seconds`` passed in it; ``busy`` and ``stolen`` are CPU seconds. ``last`` says that the group is finished.
    """

    group: int
    number: int
    visits: dict[int, Calls] = {}
    left: dict[int, Left] = {}
    seconds: float = 0.0
    busy: float = 0.0
    stolen: float = 0.0
    last: bool = False

    def visit(self, index: int) -> Visit:
        """One contestant's."""
        calls = self.visits[index]
        return Visit(calls.clean, calls.slowed, calls.spoiled)


class Journal:
    """The file, or nothing where ``path`` is None.

    Attributes:
        note: what there is to say of what was found, None if nothing.
        rounds: what was found.
    """

    def __init__(self, path: Path | None, *, plan: str) -> None:
        self.note: str | None = None
        self.rounds: tuple[Round, ...] = ()
        self._path = path
        if path is None:
            return
        lines, found = _whole_lines(path), None
        if lines:
            found = _parse(lines, plan=plan)
            self.note = (
                f"{path.parent}: goes on after {sum(entry.number > 0 for entry in found)} rounds of the bench that was stopped"
                if found is not None
                else f"{path.parent}: an unfinished bench of other arguments is left behind, this one begins anew"
            )
        self.rounds = tuple(found or ())
        kept = lines if found is not None else [Plan(plan=plan).model_dump_json().encode()]
        try:
            write_bytes(path, b"\n".join(kept) + b"\n")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._give_up(error)

    def write(self, entry: Round) -> None:
        """Append one line, on the disk before the next round begins.

        A disk that is full ends the journal and not the bench; :attr:`note` says so.
        """
        if self._path is None:
            return
        try:
            with self._path.open("ab") as file:
                file.write(entry.model_dump_json(exclude_defaults=True).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.note = f"{self._path}: {error.strerror or error}; the bench goes on, but could not after a kill"
        self._path = None

    def finish(self) -> None:
        """Remove it: the record is written."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def plan_of(contestants: Sequence[Contestant], *settings: object) -> str:
    """A hash of what is timed and how: another one means other arguments, other files or another machine."""
    identities = [
        [
            getattr(found, name)
            for name in (
                "model", "runtime", "precision", "quantizer", "input_size", "threads", "batch", "scope", "bytes",
                "reference", "skip_reason",
            )
        ]
        + [str(found.source.folder) if found.source else None]
        for found in contestants
    ]  # fmt: skip
    text = json.dumps([identities, [str(value) for value in settings]])
    return hashlib.sha256(text.encode()).hexdigest()


def _whole_lines(path: Path) -> list[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return content.split(b"\n")[:-1]  # what follows the last newline was cut off


def _parse(lines: list[bytes], *, plan: str) -> list[Round] | None:
    """The rounds of a journal of this plan; None for one of another, or a damaged one."""
    try:
        first: Any = Plan.model_validate_json(lines[0])
        return [Round.model_validate_json(line) for line in lines[1:]] if first.plan == plan else None
    except (ValidationError, EdgeproofError):
        return None
