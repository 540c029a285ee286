"""What a person sees of a run: a bar with an estimate of the time left; plain lines where no terminal is."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from distill.errors import EdgeproofError
from distill.pipeline.progress_record import ProgressRecord
from distill.pipeline.stage import Stage
from distill.training.history import EPOCHS, HISTORY, History

_LINE_EVERY_S = 20.0
_LOOK_EVERY_S = 1.0
# share of the work after which what was measured beforehand counts as much as what was seen since
_TRUST = 0.25


class ConsoleReporter:
    """A :class:`distill.pipeline.stage.Reporter` on a terminal or in a log.

    Args:
        console: where to.
        expected_s: what the whole run was reckoned to take; from that the estimate starts.
        folder: the run's, where trainings leave their epochs.
        progress_file: where :class:`ProgressRecord` is kept up to date, if anywhere.
    """

    def __init__(
        self,
        console: Console,
        *,
        expected_s: float | None = None,
        folder: Path | None = None,
        progress_file: Path | None = None,
    ) -> None:
        self.console, self.expected_s, self.folder = console, expected_s, folder
        self.progress_file, self.last_written = progress_file, float("-inf")
        self.histories: dict[str, Path] = {}  # stage → where its training's history will be
        self.learned: dict[str, tuple[float, str]] = {}  # stage → when it was looked at, and what was seen
        self.done = 0.0
        self.costs: dict[str, float] = {}
        self.reckoned = 0.0  # all costs, before any stage was found to be whole
        self.shares: dict[str, float] = {}  # of the stages at work
        self.started = self.last_line = time.monotonic()
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> "ConsoleReporter":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def begin(self, stages: Sequence[Stage]) -> None:
        """Add up what all stages are expected to cost."""
        self.costs = {stage.name: stage.cost for stage in stages}
        self.reckoned = sum(self.costs.values())
        self.started = time.monotonic()
        self.task = self.bar.add_task("starting", total=sum(self.costs.values()), left="")
        for stage in stages if self.folder else ():
            for output in stage.outputs:
                if output.endswith(f"/{HISTORY}"):
                    self.histories[stage.name] = Path(self.folder or "", output)

    def start(self, stage: Stage, *, kept: bool) -> None:
        """Name the stage; one that is kept costs nothing more."""
        if kept:
            self.costs[stage.name] = 0.0
            self.console.print(f"  [dim]kept   {stage.name}[/dim]", highlight=False)
        else:
            self.costs[stage.name] = self.costs[stage.name] or stage.cost  # it was not whole after all
            self.shares[stage.name] = 0.0
        self._move()

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar within a stage; in a log, a line now and then."""
        if name not in self.shares:
            return
        self.shares[name] = done / max(total, 1)
        self._move()
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line > _LINE_EVERY_S:
            self.last_line = now
            self._say(f"  ...    {self._at_work()}{self._left()}")

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """Tick the stage off."""
        self.done += self.costs[stage.name]
        self.shares.pop(stage.name, None)
        left = "" if self.console.is_terminal else self._left()
        learned = self._learned(stage.name, finished=True)
        self._say(f"  [green]done[/green]   {stage.name} [dim]{seconds:.1f} s{learned}{left}[/dim]")
        self._move()

    def _say(self, text: str) -> None:
        self.console.print(
            text, highlight=False, soft_wrap=True
        )  # a log has no width, and 80 columns cut lines

    def _completed(self) -> float:
        return self.done + sum(self.costs[name] * share for name, share in self.shares.items())

    def _move(self) -> None:
        if self.task is not None:
            self.bar.update(
                self.task, description=self._at_work() or "done", total=sum(self.costs.values()),
                completed=self._completed(), left=self._left().removeprefix(", "),
            )  # fmt: skip
        if self.progress_file and time.monotonic() - self.last_written > _LOOK_EVERY_S:
            self.last_written = time.monotonic()
            share = self._completed() / max(sum(self.costs.values()), 1e-9)
            record = ProgressRecord(
                share=min(share, 1.0), seconds_left=self._seconds_left(), at_work=self._at_work()
            )
            record.write(self.progress_file)

    def _left(self) -> str:
        seconds = self._seconds_left()
        return "" if seconds is None else f", about {seconds / 60:.1f} min left"

    def _seconds_left(self) -> float | None:
        """From what was seen; where the run was reckoned beforehand, that counts as a quarter of it."""
        completed, total = self._completed(), sum(self.costs.values())
        elapsed, done = time.monotonic() - self.started, completed
        if self.expected_s is not None:
            elapsed, done = elapsed + _TRUST * self.expected_s, done + _TRUST * self.reckoned
        return elapsed * (total - completed) / done if done > 0 else None

    def _at_work(self) -> str:
        return ", ".join(name + self._learned(name) for name in self.shares)

    def _learned(self, name: str, *, finished: bool = False) -> str:
        """The last epoch of a training that goes on, or the best of one that has ended; nothing of anything else."""
        history = self.histories.get(name)
        if history is None:
            return ""
        now, (looked, seen) = time.monotonic(), self.learned.get(name, (-_LOOK_EVERY_S, ""))
        if finished or now - looked >= _LOOK_EVERY_S:
            seen = _told(history if finished else history.with_name(EPOCHS), best=finished)
            self.learned[name] = (now, seen)
        return seen


def _told(path: Path, *, best: bool) -> str:
    try:
        history = History.read(path)
    except EdgeproofError:  # not there yet, or of finished weights
        return ""
    epochs = [epoch for epoch in history.epochs if not best or epoch.epoch == history.best_epoch]
    if not epochs:
        return ""
    last = epochs[-1]
    which = f"best epoch {last.epoch} of {len(history.epochs)}" if best else f"epoch {last.epoch}"
    return f", {which}: loss {last.train_loss:.3f}, validation {history.metric} {last.valid_score:.3f}"
