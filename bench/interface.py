"""Latency from Python: artifacts and modules timed together, as a run's bench does."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.contestants.artifact import artifact_contestants
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
    rounds: int = 20,
    iterations: int = 5,
    warmup: int = 3,
    reference: bool = True,
) -> BenchRecord:
    """Time artifacts and modules in interleaved rounds of this process: batch 1, model only and end to end.

    Args:
        items: artifact folders and ``nn.Module`` objects; names may be given to them.
        preprocess: the modules' input size; needed for modules alone.
        threads: CPU threads of one inference; 0 is every core.
        rounds: how often each is visited.
        iterations: timed calls a visit.
        warmup: untimed calls before.
        reference: time the reports' ResNet18 too, eager FP32 at 224 × 224, for ``speedup_*``; only where torch is.

    Returns:
        The machine and one row for each model, runtime, precision and scope; ratios are taken within rounds.

    Raises:
        EdgeproofError: a folder that is no artifact, or a module without ``preprocess``.
    """
    named = dict(items) if isinstance(items, Mapping) else {_name(item): item for item in items}
    if len(named) != len(items):
        raise EdgeproofError("compare: two of the items have the same name; give names: {name: item}")
    used = thread_count(threads)
    contestants: list[Contestant] = []
    if reference and find_spec("torch") is not None:
        from bench.contestants.torch import reference_contestant

        contestants += reference_contestant(threads=used)
    for name, item in named.items():
        contestants += _contestants(name, item, preprocess=preprocess, threads=used)
    return measure(contestants, rounds=rounds, iterations=iterations, warmup=warmup).record()


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
