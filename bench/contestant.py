"""What the bench times: a contestant is one row to be. Torch-free."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.records.identity import Runtime
from bench.records.latency import Scope
from deploy.timing import Runner
from distill.errors import EdgeproofError
from distill.forms import Precision


class Progress(Protocol):
    """Told what is being measured, and how many of all steps are done."""

    def __call__(self, what: str, done: int, total: int, /) -> None:
        """Report one step."""


class Source(Protocol):
    """What another process can make the contestant's runner from.

    Attributes:
        folder: the artifact.
    """

    @property
    def folder(self) -> Path: ...  # noqa: D102 - above

    def make(self) -> Runner:
        """Set it up and return what one call is."""

    def model_dump_json(self) -> str:
        """The source as JSON."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One row to be: its identity, and ``make``, which sets it up and returns what one call is.

    ``reference`` marks a row that the others of its input size, threads, batch and scope are compared with. One with a
    ``source`` may be run by another process. A contestant with ``skip_reason`` is never made: its row says why.
    """

    model: str
    runtime: Runtime
    precision: Precision
    input_size: int
    threads: int
    make: Callable[[], Runner]
    quantizer: str | None = None
    batch: int = 1
    scope: Scope = "model"
    bytes: int | None = None
    params: int | None = None
    macs: int | None = None
    metrics: dict[str, float] | None = None
    reference: bool = False
    skip_reason: str | None = None
    source: Source | None = None

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        return f"{self.model} {self.runtime} {self.precision} {self.input_size} {self.scope}"

    @property
    def setting(self) -> tuple[int, int, int]:
        """Input size, threads and batch: what is the same for all that are timed in the same rounds."""
        return self.input_size, self.threads, self.batch

    @property
    def league(self) -> tuple[int, int, int, Scope]:
        """Setting and scope: ratios are taken within it alone."""
        return (*self.setting, self.scope)


def one_line(error: Exception) -> str:
    """The reason a row gives: an EdgeproofError's own line, otherwise the type and its first line."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    if not isinstance(error, EdgeproofError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."
