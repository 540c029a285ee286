"""Which generators are learned from: the others' images leave every split that a choice is made on. Torch-free."""

from collections.abc import Sequence
from dataclasses import replace

from distill.data.samples import UNLABELLED_SPLIT, Dataset, Sample
from distill.errors import EdgeproofError

LEARNED = ("train", "valid", UNLABELLED_SPLIT)


def generators_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The names of all generators, sorted."""
    return tuple(sorted({sample.generator for sample in samples if sample.generator}))


def learned_from(dataset: Dataset, generators: Sequence[str]) -> tuple[Dataset, list[int]]:
    """The data set without other generators' images in train, valid and unlabelled, and which samples (numbers) it kept.

    All of them where none is named.

    Raises:
        EdgeproofError: a generator that has no image to train on; those that have are named.
    """
    if not generators:
        return dataset, list(range(len(dataset.samples)))
    there = generators_of(dataset.split("train"))
    for name in generators:
        if name not in there:
            known = ", ".join(there) or "none (the layout tells of no generators)"
            raise EdgeproofError(f"data.generators: {name!r} has no image to train on; choose among: {known}")
    kept = {"", *generators}
    rows = [row for row, s in enumerate(dataset.samples) if s.split not in LEARNED or s.generator in kept]
    return replace(dataset, samples=tuple(dataset.samples[row] for row in rows)), rows
