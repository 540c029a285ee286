"""Which rows of a bench are the same model in the same form: they share an artifact. Torch-free."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bench.contestants.source import ArtifactSource
from bench.records.identity import Runtime
from distill.forms import Precision

if TYPE_CHECKING:
    from bench.contestant import Contestant


class Form(NamedTuple):
    """A model in one runtime and precision at one input size, whatever its threads, batch and scope."""

    model: str
    runtime: Runtime
    precision: Precision
    quantizer: str | None
    input_size: int

    def __str__(self) -> str:
        made = f" ({self.quantizer})" if self.quantizer else ""
        return f"{self.model}, {self.runtime}, {self.precision}{made}, {self.input_size}×{self.input_size}"


class _Timed(Protocol):
    """A row or a contestant."""

    @property
    def model(self) -> str: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def quantizer(self) -> str | None: ...
    @property
    def input_size(self) -> int: ...


def folders_of(contestants: "Iterable[Contestant]") -> dict[Form, Path]:
    """The artifact of every form among contestants; PyTorch's have none."""
    sources = ((contestant, contestant.source) for contestant in contestants)
    return {
        form_of(contestant): source.folder
        for contestant, source in sources
        if isinstance(source, ArtifactSource)
    }


def form_of(timed: _Timed) -> Form:
    """Of a row, or of a contestant that becomes one."""
    return Form(timed.model, timed.runtime, timed.precision, timed.quantizer, timed.input_size)
