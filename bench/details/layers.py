"""A row's most expensive operators, by the runtime's own profiler, in plain words. Torch-free."""

from collections.abc import Sequence
from pathlib import Path

from bench.contestants.source import sample_pixels
from bench.details.form import Form
from bench.details.words import words_of
from bench.records.latency import Layer
from deploy.artifact import MODEL_FILES
from deploy.compute_layers import ComputeLayer, compute_layers
from deploy.profilers import Operator, profile_operators
from distill.errors import EdgeproofError

MOST = 5


def expensive_layers(folder: Path, form: Form, *, threads: int) -> tuple[Layer, ...]:
    """The :data:`MOST` that take the longest of one call, the longest first.

    Raises:
        EdgeproofError: the artifact has no such model, or the runtime is not installed.
    """
    if form.runtime == "torch":
        raise EdgeproofError("PyTorch's operators are not profiled")
    found = profile_operators(
        folder,
        runtime=form.runtime,
        pixels=sample_pixels(form.input_size),
        threads=threads,
        precision="bf16" if form.precision == "bf16" else "fp32",
    )
    return most_expensive(found, _file_layers(folder / MODEL_FILES[form.runtime][0]))


def most_expensive(operators: Sequence[Operator], layers: Sequence[ComputeLayer] = ()) -> tuple[Layer, ...]:
    """Shares are of all operators together: the runtime's own work between them is not in its profile."""
    total = sum(operator.microseconds for operator in operators)
    costly = sorted(operators, key=lambda operator: -operator.microseconds)[:MOST]
    return tuple(
        Layer(
            name=operator.name,
            kind=operator.kind,
            ms=operator.microseconds / 1e3,
            share=operator.microseconds / total,
            words=words_of(operator, layers),
        )
        for operator in costly
        if operator.microseconds > 0
    )


def _file_layers(path: Path) -> Sequence[ComputeLayer]:
    """Only words are the poorer where the file cannot be read."""
    try:
        return compute_layers(path)
    except Exception:  # what reads the file need not be installed
        return ()
