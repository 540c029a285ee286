"""Counts of a data set: ``data/summary.json``. Torch-free."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from distill.data.samples import GENERATED, REAL, UNLABELLED, Dataset
from distill.data.splits import split_groups
from distill.record import Frozen, Record


class SplitCounts(Frozen):
    """Images of one split: real, fake, or of each of K ``classes`` by its name; ``groups`` of those with a label."""

    real: int = 0
    fake: int = 0
    unlabelled: int = 0
    classes: dict[str, int] | None = None
    groups: int | None = None

    @property
    def labelled(self) -> int:
        """All whose label is known."""
        return self.real + self.fake + sum((self.classes or {}).values())


class GeneratorCounts(Frozen):
    """Images of one generator, and the splits that hold them."""

    splits: tuple[str, ...]
    count: int


class LeftOut(Frozen):
    """A file that was left out, and why."""

    path: str
    reason: str


class DataSummary(Record):
    """What a run trains and judges on; ``held_out`` names the generators that no model trains on.

    ``problems`` are what a reader should know of the set: splits with few groups, tables that were not read, ...
    """

    layout: str
    simulated: bool
    splits: dict[str, SplitCounts]
    generators: dict[str, GeneratorCounts]
    held_out: tuple[str, ...]
    skipped: tuple[LeftOut, ...]
    problems: tuple[str, ...] = ()


def summarise(dataset: Dataset, *, held_out: Sequence[str], labels: Sequence[str] = ()) -> DataSummary:
    """Counts per split, class (one of ``labels``, if they are not real and generated) and generator, and what was left out."""
    splits: dict[str, Counter[int]] = defaultdict(Counter)
    generators: dict[str, list[str]] = defaultdict(list)
    for sample in dataset.samples:
        splits[sample.split][sample.label] += 1
        if sample.label == GENERATED and not labels:
            generators[sample.generator].append(sample.split)
    groups = split_groups(dataset.samples)
    return DataSummary(
        layout=dataset.layout,
        simulated=dataset.layout == "simulated",
        splits={name: _counts(found, labels, groups.get(name, 0)) for name, found in splits.items()},
        generators={
            name: GeneratorCounts(splits=tuple(sorted(set(where))), count=len(where))
            for name, where in generators.items()
        },
        held_out=tuple(held_out),
        skipped=tuple(LeftOut(path=item.path, reason=item.reason) for item in dataset.skipped),
        problems=dataset.problems,
    )


def _counts(found: Counter[int], labels: Sequence[str], groups: int) -> SplitCounts:
    unlabelled = found[UNLABELLED]
    if labels:
        classes = {name: found[number] for number, name in enumerate(labels)}
        return SplitCounts(unlabelled=unlabelled, classes=classes, groups=groups)
    return SplitCounts(real=found[REAL], fake=found[GENERATED], unlabelled=unlabelled, groups=groups)
