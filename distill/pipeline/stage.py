"""What a stage of a run is, and who is told how far it is. Torch-free."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from distill.recipe import Recipe
from distill.roster import Model

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Run:
    """One run folder and the recipe that fills it."""

    folder: Path
    recipe: Recipe

    def log(self, event: str, **fields: Any) -> None:
        """Append one line to ``log.jsonl``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **fields})
        path = self.folder / "log.jsonl"
        torn = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")  # by a kill or a full disk
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + line + "\n")


@dataclass(frozen=True)
class Stage:
    """One step of the job.

    Attributes:
        name: unique, such as ``student:small_cnn:seed0:distilled``.
        verb: the command that ends with this kind of stage.
        action: does the work; raises :class:`GateFailedError` after writing its outputs if a gate fails.
        arguments: keyword arguments of the action, such as the models it is about; the outcome depends on them.
        reads: the parts of the recipe that the outcome depends on, as dotted paths (``training``, ``data.path``).
        state: what else it depends on, such as the state of the user's files (any JSON value).
        needs: names of the stages whose outcome it reads.
        outputs: files, relative to the run folder, that make it whole.
        cost: expected share of the time, for the estimate of what is left.
        always: run it every time, even after a failed gate (the report).
        stops: a failed gate here ends the run (nothing is trained on data that leaks).
        alone: nothing else runs meanwhile, and all stages before it have ended. The actions of all
            others must be picklable, since they run in a process of their own.
        trial: long enough, and of nothing but this folder's files, that it may run on another machine.
    """

    name: str
    verb: str
    action: Callable[..., None]
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cost: float = 1.0
    always: bool = False
    stops: bool = False
    alone: bool = False
    trial: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    state: Callable[[Recipe], Any] | None = None

    @property
    def student(self) -> str:
        """Name of the student that the work is about; empty if it is about none."""
        about = (getattr(value, "model", value) for value in self.arguments.values())
        return next((each.name for each in about if isinstance(each, Model) and not each.is_teacher), "")

    def run(self, run: Run, progress: Progress) -> None:
        """Do the work."""
        self.action(run, progress, **self.arguments)


class Reporter(Protocol):
    """Who is told how far the run is; several stages may be at work at once."""

    def begin(self, stages: Sequence[Stage]) -> None:
        """The stages that will run."""

    def start(self, stage: Stage, *, kept: bool) -> None:
        """A stage starts, or is kept as it is."""

    def progress(self, name: str, done: int, total: int) -> None:
        """How far the named stage is."""

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """A stage has ended."""


class Silent:
    """A reporter for tests and programs."""

    def begin(self, stages: Sequence[Stage]) -> None:
        """Nothing."""

    def start(self, stage: Stage, *, kept: bool) -> None:
        """Nothing."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Nothing."""

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """Nothing."""


def makers(stages: Sequence[Stage], files: Sequence[str]) -> tuple[str, ...]:
    """Names of the stages that leave ``files``, in order.

    Raises:
        ValueError: a file that none of them leaves.
    """
    wanted = set(files)
    if lost := wanted.difference(*(stage.outputs for stage in stages)):
        raise ValueError(f"no stage leaves {', '.join(sorted(lost))}")
    return tuple(stage.name for stage in stages if wanted.intersection(stage.outputs))
