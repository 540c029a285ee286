"""Which images the page shows: the same few hundred of every source and split, whoever asks."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from distill.data.layouts.vocabulary import UNNAMED
from distill.data.samples import GENERATED, REAL, UNLABELLED, Sample

MAX_GENERATORS = 12
"""More have no place in one picture: the most frequent stand alone, the others together."""

_SPLITS = ("train", "valid", "test", "heldout", "control", "", "unlabelled")


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Where images come from: the camera, one generator, or all of the rarer generators. Sorts as it is shown."""

    rank: int
    label: int
    name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """The images of one source in one split.

    Attributes:
        total: how many there are.
        sampled: indices of those that are read, in the order of their hashes.
    """

    split: str
    source: Source
    total: int
    sampled: tuple[int, ...]


def sample_cells(samples: Sequence[Sample], *, limit: int) -> list[Cell]:
    """At most ``limit`` images of every source and split, chosen by a hash of their path."""
    members: dict[tuple[str, Source], list[int]] = {}
    for index, (sample, source) in enumerate(zip(samples, sources_of(samples), strict=True)):
        members.setdefault((sample.split, source), []).append(index)

    def place(index: int) -> tuple[int, str]:
        return hashed(samples[index].path), samples[index].path

    cells = [
        Cell(split, source, total=len(found), sampled=tuple(heapq.nsmallest(limit, found, key=place)))
        for (split, source), found in members.items()
    ]
    return sorted(cells, key=lambda cell: (*_split_order(cell.split), cell.source))


def sources_of(samples: Sequence[Sample]) -> list[Source]:
    """The source of each sample."""
    table = _table(samples)
    return [table[_key(sample)] for sample in samples]


def hashed(text: str) -> int:
    """64 bits that depend on the text alone."""
    return int.from_bytes(blake2b(text.encode(errors="backslashreplace"), digest_size=8).digest(), "big")


def _key(sample: Sample) -> tuple[int, str]:
    return sample.label, (sample.generator or UNNAMED) if sample.label == GENERATED else ""


def _table(samples: Sequence[Sample]) -> dict[tuple[int, str], Source]:
    counts = Counter(_key(sample) for sample in samples)
    common = sorted((key for key in counts if key[0] == GENERATED), key=lambda key: (-counts[key], key))
    alone = common if len(common) <= MAX_GENERATORS else common[: MAX_GENERATORS - 1]
    others = Source(len(alone) + 1, GENERATED, f"{len(common) - len(alone)} other generators")
    return {
        (REAL, ""): Source(0, REAL, "real"),
        (UNLABELLED, ""): Source(len(alone) + 2, UNLABELLED, "unlabelled"),
        **dict.fromkeys(common, others),
        **{key: Source(rank, GENERATED, key[1]) for rank, key in enumerate(sorted(alone), start=1)},
    }


def _split_order(split: str) -> tuple[int, str]:
    return (_SPLITS.index(split) if split in _SPLITS else len(_SPLITS)), split
