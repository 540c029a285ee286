"""Counts of a data set: ``data/summary.json``. Torch-free."""

from collections import defaultdict
from collections.abc import Sequence

from distill.data.samples import GENERATED, REAL, UNLABELLED, Dataset
from distill.record import Frozen, Record


class SplitCounts(Frozen):
    """Images of one split."""

    real: int = 0
    fake: int = 0
    unlabelled: int = 0


class GeneratorCounts(Frozen):
    """Images of one generator, and the splits that hold them."""

    splits: tuple[str, ...]
    count: int


class LeftOut(Frozen):
    """A file that was left out, and why."""

    path: str
    reason: str


class DataSummary(Record):
    """What a run trains and judges on; ``held_out`` names the generators that no model trains on."""

    layout: str
    simulated: bool
    splits: dict[str, SplitCounts]
    generators: dict[str, GeneratorCounts]
    held_out: tuple[str, ...]
    skipped: tuple[LeftOut, ...]


_CLASSES = {REAL: "real", GENERATED: "fake", UNLABELLED: "unlabelled"}


def summarise(dataset: Dataset, *, held_out: Sequence[str]) -> DataSummary:
    """Counts per split, class and generator, and what was left out."""
    splits: dict[str, dict[str, int]] = {}
    generators: dict[str, list[str]] = defaultdict(list)
    for sample in dataset.samples:
        counts = splits.setdefault(sample.split, {})
        name = _CLASSES[sample.label]
        counts[name] = counts.get(name, 0) + 1
        if sample.label == GENERATED:
            generators[sample.generator].append(sample.split)
    return DataSummary(
        layout=dataset.layout,
        simulated=dataset.layout == "simulated",
        splits={name: SplitCounts(**counts) for name, counts in splits.items()},
        generators={
            name: GeneratorCounts(splits=tuple(sorted(set(where))), count=len(where))
            for name, where in generators.items()
        },
        held_out=tuple(held_out),
        skipped=tuple(LeftOut(path=item.path, reason=item.reason) for item in dataset.skipped),
    )
