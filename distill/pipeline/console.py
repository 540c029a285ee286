"""What a person sees of a run: a bar with an estimate of the time left; plain lines where no terminal is."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from distill.pipeline.stage import Stage

_LINE_EVERY_S = 20.0


class ConsoleReporter:
    """A :class:`distill.pipeline.stage.Reporter` on a terminal or in a log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.done = 0.0
        self.costs: dict[str, float] = {}
        self.shares: dict[str, float] = {}  # of the stages at work
        self.started = self.last_line = time.monotonic()
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left about"),
            TimeRemainingColumn(),
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
        self.started = time.monotonic()
        self.task = self.bar.add_task("starting", total=sum(self.costs.values()))

    def start(self, stage: Stage, *, kept: bool) -> None:
        """Name the stage; one that is kept costs nothing more."""
        if kept:
            self.costs[stage.name] = 0.0
            self.console.print(f"  [dim]kept   {stage.name}[/dim]", highlight=False)
        else:
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
            self.console.print(f"  ...    {', '.join(self.shares)}{self._left()}", highlight=False)

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """Tick the stage off."""
        self.done += self.costs[stage.name]
        self.shares.pop(stage.name, None)
        left = "" if self.console.is_terminal else self._left()
        self.console.print(
            f"  [green]done[/green]   {stage.name} [dim]{seconds:.1f} s{left}[/dim]", highlight=False
        )
        self._move()

    def _completed(self) -> float:
        return self.done + sum(self.costs[name] * share for name, share in self.shares.items())

    def _move(self) -> None:
        if self.task is not None:
            names = ", ".join(self.shares) or "done"
            total = sum(self.costs.values())
            self.bar.update(self.task, description=names, total=total, completed=self._completed())

    def _left(self) -> str:
        completed = self._completed()
        if completed <= 0:
            return ""
        seconds = (time.monotonic() - self.started) * (sum(self.costs.values()) - completed) / completed
        return f", about {seconds / 60:.1f} min left"
