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

from distill.stage import Stage

_LINE_EVERY_S = 20.0


class ConsoleReporter:
    """A :class:`distill.stage.Reporter` on a terminal or in a log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.total = self.done = 0.0
        self.started = self.last_line = time.monotonic()
        self.stage: Stage | None = None
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
        self.total = sum(stage.cost for stage in stages)
        self.started = time.monotonic()
        self.task = self.bar.add_task("starting", total=self.total)

    def start(self, stage: Stage, *, kept: bool) -> None:
        """Name the stage; one that is kept costs nothing more."""
        self.stage = stage
        if kept:
            self.total -= stage.cost
            self.console.print(f"  [dim]kept   {stage.name}[/dim]", highlight=False)
        if self.task is not None:
            self.bar.update(self.task, description=stage.name, total=self.total, completed=self.done)

    def progress(self, done: int, total: int) -> None:
        """Move the bar within the stage; in a log, a line now and then."""
        if self.stage is None or self.task is None:
            return
        completed = self.done + self.stage.cost * done / max(total, 1)
        self.bar.update(self.task, completed=completed)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line > _LINE_EVERY_S:
            self.last_line = now
            self.console.print(
                f"  ...    {self.stage.name} {done}/{total}{self._left(completed)}", highlight=False
            )

    def finish(self, stage: Stage, *, seconds: float) -> None:
        """Tick the stage off."""
        self.done += stage.cost
        left = "" if self.console.is_terminal else self._left(self.done)
        self.console.print(
            f"  [green]done[/green]   {stage.name} [dim]{seconds:.1f} s{left}[/dim]", highlight=False
        )
        if self.task is not None:
            self.bar.update(self.task, completed=self.done)

    def _left(self, completed: float) -> str:
        if completed <= 0:
            return ""
        seconds = (time.monotonic() - self.started) * (self.total - completed) / completed
        return f", about {seconds / 60:.1f} min left"
