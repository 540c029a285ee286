"""Grouped splits: a group (scene, identity, source video) never straddles two, and classes and generators have their shares."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from distill.data.samples import REAL, UNLABELLED, Dataset, Sample
from distill.errors import EdgeproofError

Cuts = Sequence[tuple[str, float]]
Kind = frozenset[tuple[int, str]]
"""Classes and generators of a group's images."""

MANY = 200
"""Groups of one kind from which on chance alone keeps the shares, and each group's place can depend on its own name alone."""


def with_splits(
    dataset: Dataset,
    *,
    valid_share: float,
    test_share: float,
    seed: int,
    wanted: Sequence[str] = ("train", "valid", "test"),
    labels: Sequence[str] = (),
    min_groups: int = 0,
) -> Dataset:
    """Give every sample a split, keeping those that the layout states.

    A missing ``valid`` (CIFAKE has none) is cut from ``train``, a missing ``test`` likewise, in the same shares of every
    class and generator (stratified by group). Of a class and generator with :data:`MANY` groups or more, a group's place
    depends on the seed and its own name alone, so adding images moves no other image; of fewer, the shares are exact.
    Unlabelled images stay where they are. ``labels`` names K classes, if they are not real and generated.

    A valid or test split with fewer than ``min_groups`` groups is told in ``problems``.

    Raises:
        EdgeproofError: a split that is wanted would lack a class.
    """
    stated = {sample.split for sample in dataset.samples}
    cuts = [
        ("valid", 0.0 if "valid" in stated else valid_share),
        ("test", 0.0 if "test" in stated else test_share),
    ]
    places = _places(dataset.samples, cuts=cuts, seed=seed)
    samples = tuple(_placed(sample, places) for sample in dataset.samples)
    _check_classes(dataset, samples, wanted=wanted, labels=labels)
    few = tuple(_few_groups(samples, least=min_groups))
    return replace(dataset, samples=samples, problems=(*dataset.problems, *few))


def split_groups(samples: Sequence[Sample]) -> dict[str, int]:
    """How many groups the labelled images of each split belong to; one without a group is its own."""
    groups: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.label != UNLABELLED:
            groups[sample.split].add(sample.group or sample.path)
    return {split: len(names) for split, names in groups.items()}


def _few_groups(samples: Sequence[Sample], *, least: int) -> Iterator[str]:
    found = split_groups(samples)
    for split in ("valid", "test", "heldout"):
        if 0 < found.get(split, 0) < least:
            yield (
                f"split {split!r} has {found[split]} group{'s' * (found[split] != 1)} (scenes, identities, source videos), "
                f"fewer than {least} (data.min_groups): what is measured on it says little; add images of other scenes, or "
                "raise data.valid_share and data.test_share"
            )


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


def _is_open(sample: Sample) -> bool:
    """Whether nothing states its place."""
    return sample.split in ("", "train") and sample.label != UNLABELLED


def _placed(sample: Sample, places: Mapping[str, str]) -> Sample:
    if not _is_open(sample):
        return sample
    split = places.get(sample.group or sample.path) or sample.split or "train"
    return sample if split == sample.split else replace(sample, split=split)


def _places(samples: Sequence[Sample], *, cuts: Cuts, seed: int) -> dict[str, str]:
    """Groups that leave ``train``, and where they go."""
    strata: dict[Kind, list[str]] = defaultdict(list)
    for group, kind in _kinds(samples).items():
        strata[kind].append(group)
    places: dict[str, str] = {}
    small: dict[frozenset[int], list[str]] = defaultdict(list)
    for kind in sorted(strata, key=sorted):
        groups = strata[kind]
        if len(groups) >= MANY:
            places |= {group: split for group in groups if (split := _by_name(group, cuts, seed))}
        else:  # one generator after the other, so that what is taken evenly is taken of each
            groups.sort(key=lambda group: _uniform(f"{seed}/{group}"))
            small[frozenset(label for label, _ in kind)] += groups
    for groups in small.values():
        places |= _evenly(groups, cuts)
    return places


def _kinds(samples: Sequence[Sample]) -> dict[str, Kind]:
    """Group → what it holds; equal values are one object, since there may be millions."""
    known: dict[Kind, Kind] = {}
    found: dict[str, Kind] = {}
    for sample in samples:
        if _is_open(sample):
            name = sample.group or sample.path
            kind = found.get(name, frozenset()) | {(sample.label, sample.generator)}
            found[name] = known.setdefault(kind, kind)
    return found


def _by_name(group: str, cuts: Cuts, seed: int) -> str:
    draw, edge = _uniform(f"{seed}/{group}"), 0.0
    for split, share in cuts:
        edge += share
        if draw < edge:
            return split
    return ""


def _evenly(groups: Sequence[str], cuts: Cuts) -> dict[str, str]:
    """Each cut's share, at least one of three or more, spread over the list."""
    places: dict[str, str] = {}
    for split, share in cuts:
        left = [group for group in groups if group not in places]
        wanted = min(len(left), max(int(share * len(groups) + 0.5), int(share > 0 and len(groups) > 2)))
        places |= {left[int((turn + 0.5) * len(left) / wanted)]: split for turn in range(wanted)}
    return places


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
