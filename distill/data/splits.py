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
) -> Dataset:
    """Give every sample a split, keeping those that the layout states.

    A missing ``valid`` (CIFAKE has none) is cut from ``train``, a missing ``test`` likewise. A group's place
    depends on the seed and its own name alone, so adding images moves no other image. Unlabelled images stay
    where they are.

    Raises:
        EdgeproofError: a split that is wanted would lack real or generated images.
    """
    stated = {sample.split for sample in dataset.samples}
    cuts = [
        ("valid", 0.0 if "valid" in stated else valid_share),
        ("test", 0.0 if "test" in stated else test_share),
    ]
    samples = tuple(_assign(sample, cuts=cuts, seed=seed) for sample in dataset.samples)
    counts = Counter((sample.split, sample.label > REAL) for sample in samples if sample.label != UNLABELLED)
    for split in wanted:
        real, fake = counts[split, False], counts[split, True]
        if min(real, fake) == 0:
            raise EdgeproofError(
                f"{dataset.root}: split {split!r} has {real} real and {fake} fake images, "
                "expected both classes; add images or change data.valid_share / data.test_share"
            )
    return replace(dataset, samples=samples)


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
