"""Latency from Python: artifacts and modules timed together, as a run's bench does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.contestants.artifact import artifact_contestants
from bench.contestants.reference import absent, references_for
from bench.latency import Contestant, measure
from bench.records.latency import BenchRecord
from deploy.artifact import read_manifest
from distill.errors import EdgeproofError
from distill.machine import thread_count
from distill.preprocess import PreprocessSpec

if TYPE_CHECKING:
    from torch import nn


def compare(
    items: "Sequence[str | Path | nn.Module] | Mapping[str, str | Path | nn.Module]",
    *,
    preprocess: PreprocessSpec | None = None,
    threads: int = 0,
    rounds: int = 40,
    iterations: int = 5,
    warmup: int = 5,
    reference: bool = True,
    isolated: bool | None = None,
) -> BenchRecord:
    """Time artifacts and modules in interleaved rounds: batch 1, model only and end to end.

    Args:
        items: artifact folders and ``nn.Module`` objects; names may be given to them.
        preprocess: the modules' input size; needed for modules alone.
        threads: CPU threads of one inference; 0 is every core.
        rounds: how often each is visited at most.
        iterations: timed calls a visit.
        warmup: calls of a window of the warm-up.
        reference: time the reports' ResNet18 too, eager FP32 at each input size, for ``speedup_*``; only where torch is.
        isolated: whether artifacts run in a process for each runtime; None decides so where there are several.

    Returns:
        The machine and one row for each model, runtime, precision and scope; ratios are taken within rounds.

    Raises:
        EdgeproofError: a folder that is no artifact, or a module without ``preprocess``.
    """
    named = dict(items) if isinstance(items, Mapping) else {_name(item): item for item in items}
    if len(named) != len(items):
        raise EdgeproofError("compare: two of the items have the same name; give names: {name: item}")
    used = thread_count(threads)
    contestants = [
        contestant
        for name, item in named.items()
        for contestant in _contestants(name, item, preprocess=preprocess, threads=used)
    ]
    if reference:
        contestants = [*references_for(contestants), *contestants]
    found = measure(contestants, rounds=rounds, iterations=iterations, warmup=warmup, isolated=isolated)
    return found.record(absent=absent() if reference else None)


def _name(item: Any) -> str:
    return Path(item).name if isinstance(item, str | Path) else type(item).__name__


def _contestants(
    name: str, item: Any, *, preprocess: PreprocessSpec | None, threads: int
) -> list[Contestant]:
    if isinstance(item, str | Path):
        folder = Path(item)
        record = read_manifest(folder).quantizer
        return artifact_contestants(
            folder, model=name, quantizer=record.name if record else None, threads=threads
        )
    from bench.contestants.torch import torch_contestants
    from distill.wrapped import wrap

    if preprocess is None:
        raise EdgeproofError(f"compare: {name} is a module, expected preprocess to say its input size")
    module = wrap(item, image_size=preprocess.size)
    return torch_contestants(module, model=name, preprocess=preprocess, threads=threads)
