"""The progress bar of a verb that does one job."""

from collections.abc import Callable
from typing import Any


class bar:  # noqa: N801 - used like a function
    """A progress bar for one job, on standard error."""

    def __init__(self, text: str) -> None:
        from rich.console import Console
        from rich.progress import Progress

        from distill.cli.verbosity import is_quiet

        console = Console(stderr=True)
        self.bar = Progress(console=console, transient=True, disable=is_quiet() or not console.is_terminal)
        self.task = self.bar.add_task(text, total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        self.bar.start()
        return lambda done, total: self.bar.update(self.task, completed=done, total=total)

    def __exit__(self, *error: Any) -> None:
        self.bar.stop()
