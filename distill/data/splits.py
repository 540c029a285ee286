"""Grouped splits: a group (scene, identity, source video) never straddles two of them."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from distill.data.samples import REAL, UNLABELLED, Dataset, Sample
from distill.errors import EdgeproofError


def with_splits(
    dataset: Dataset,
    *,
    valid_share: float,
    test_share: float,
    seed: int,
    wanted: Sequence[str] = ("train", "valid", "test"),
    labels: Sequence[str] = (),
) -> Dataset:
    """Give every sample a split, keeping those that the layout states.

    A missing ``valid`` (CIFAKE has none) is cut from ``train``, a missing ``test`` likewise. A group's place
    depends on the seed and its own name alone, so adding images moves no other image. Unlabelled images stay
    where they are. ``labels`` names K classes, if they are not real and generated.

    Raises:
        EdgeproofError: a split that is wanted would lack a class.
    """
    stated = {sample.split for sample in dataset.samples}
    cuts = [
        ("valid", 0.0 if "valid" in stated else valid_share),
        ("test", 0.0 if "test" in stated else test_share),
    ]
    samples = tuple(_assign(sample, cuts=cuts, seed=seed) for sample in dataset.samples)
    _check_classes(dataset, samples, wanted=wanted, labels=labels)
    return replace(dataset, samples=samples)


def _check_classes(
    dataset: Dataset, samples: Sequence[Sample], *, wanted: Sequence[str], labels: Sequence[str]
) -> None:
    """Count real and generated images of each split, or those of every label."""
    counts: Counter[tuple[str, int]] = Counter()
    for sample in samples:
        if labels and sample.label >= len(labels):
            raise EdgeproofError(
                f"{dataset.root / sample.path}: label {sample.label}, expected 0 to {len(labels) - 1} ({', '.join(labels)})"
            )
        if sample.label != UNLABELLED:
            counts[sample.split, sample.label if labels else int(sample.label > REAL)] += 1
    for split in wanted:
        found = [counts[split, number] for number in range(len(labels) or 2)]
        if min(found):
            continue
        said = f"{found[0]} real and {found[1]} fake images, expected both classes"
        if labels:
            lost = ", ".join(name for name, count in zip(labels, found, strict=True) if not count)
            said = f"no images of {lost}, expected every class"
        raise EdgeproofError(
            f"{dataset.root}: split {split!r} has {said}; add images or change data.valid_share / data.test_share"
        )


def _assign(sample: Sample, *, cuts: list[tuple[str, float]], seed: int) -> Sample:
    if sample.split not in ("", "train") or sample.label == UNLABELLED:
        return sample
    draw = _uniform(f"{seed}/{sample.group or sample.path}")
    edge = 0.0
    for split, share in cuts:
        edge += share
        if draw < edge:
            return replace(sample, split=split)
    return sample if sample.split else replace(sample, split="train")


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
