"""The same picture in two splits or in both classes: exact by content, near by perceptual hashes. Torch-free.

Near duplicates are found in three steps, all about linear in the number of images. Hashes that differ in at most four of
the pHash's 64 bits share one of a few bands of bits (:mod:`distill.data.audit.bands`), so only those that share a band
are compared. The dHash and a thumbnail of 4 x 4 colours must then agree as well.

How the limits were chosen, and what they find and miss: docs/lab-notes.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.audit.bands import BITS, Band, bands_for
from distill.data.audit.findings import MOST_EXAMPLES, Facts, Finding, Rows, not_checked
from distill.data.layouts.groups import knows_groups, offer_stems
from distill.data.samples import GENERATED, REAL, Sample
from distill.data.scan import Scan

Numbers = npt.NDArray[Any]
Pairs = tuple[Rows, Rows]

MOST_PHASH, MOST_DHASH, LEAST_CORRELATION = 4, 8, 0.97
_CROWD = 64  # images that may share a band by chance: beyond it, wider bands are quicker
_WINDOW = 1000  # neighbours that are compared in an overfull band
_CHUNK = 1 << 16  # rows at once: what the processor's cache holds
_CLASS_KINDS, _SETTLED = 1 << 20, 1 << 21  # beyond all kinds of split and class
_LEAST_CONTRAST = 2.0  # grey levels between the cells of a thumbnail; below it, hashes are noise
_LEAST_BITS = 4  # of the dHash that must differ from the others: a plain gradient has none
_EVALUATED = ("valid", "test", "heldout")
_NEAR = ("near_duplicates_across_splits", "near_duplicates_across_classes")


def exact_duplicates(samples: Sequence[Sample], facts: Facts, scan: Scan) -> dict[str, Finding]:
    """Identical files in two splits and in two classes: how many."""

    def mixed(among: npt.NDArray[np.bool_], codes: Numbers, where: str) -> Finding:
        rows = np.flatnonzero(among)
        order = rows[np.lexsort(scan.content[rows].T)]
        count, examples = _mixed(order, _changes(scan.content[order]), codes)
        return Finding(count, f"identical files in {where}", _paths(samples, examples))

    alone = len(np.unique(facts.splits[facts.judged])) < 2
    return {
        "duplicates_across_splits": not_checked("there is one split")
        if alone
        else mixed(facts.judged, facts.splits, "two splits"),
        "duplicates_across_classes": mixed(facts.labelled, facts.labels, "two classes"),
    }


def straddling_groups(samples: Sequence[Sample], facts: Facts) -> Finding:
    """Groups that stand in two splits: how many."""
    if not knows_groups(samples):
        return not_checked(f"nothing tells which images belong together; {offer_stems(samples)}".rstrip("; "))
    order = np.argsort(facts.groups, kind="stable")
    count, examples = _mixed(order, _changes(facts.groups[order]), facts.splits)
    note = "groups (scene, identity, source video) that stand in two splits"
    return Finding(count, note, _paths(samples, examples))


def near_duplicates(samples: Sequence[Sample], facts: Facts, scan: Scan) -> dict[str, Finding]:
    """Shares of images that look the same as one in another split, or in the other class and another group.

    A pair of one group is meant to look alike (a face swap and its original).
    """
    judged = facts.judged
    textured = judged & _has_texture(scan)
    rows = np.flatnonzero(textured)
    nodes = _Nodes.of(rows, scan)
    in_split, in_class, crowded = _alike(nodes, facts)
    remark = _remark(flat=int((judged & ~textured).sum()), crowded=crowded)
    evaluated = judged & facts.within(*_EVALUATED)
    first, second = rows[in_split & evaluated[rows]], rows[in_class]
    if not len(rows):
        return dict.fromkeys(_NEAR, not_checked("no image has texture to compare"))
    if not evaluated.any():
        lone = not_checked("there is no valid, test or held-out split")
    else:
        lone = None
    return {
        "near_duplicates_across_splits": lone
        or Finding(
            len(first) / max(1, int(evaluated.sum())),
            f"share of the evaluated images ({len(first)}) that look like one in another split{remark}",
            _paths(samples, _partners(first, rows, scan, facts, across="splits")),
        ),
        "near_duplicates_across_classes": Finding(
            len(second) / max(1, int(facts.labelled.sum())),
            f"share of the images ({len(second)}) that look like one of the other class and of another group{remark}",
            _paths(
                samples,
                _partners(second[facts.labels[second] == GENERATED], rows, scan, facts, across="classes"),
            ),
        ),
    }


def _remark(*, flat: int, crowded: int) -> str:
    said = f"; {flat} images without texture are not compared" if flat else ""
    if crowded:
        said += f"; incomplete: for {crowded} images so many are similar that only neighbours were compared"
    return said


def _paths(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
    return tuple((samples[a].path, samples[b].path) for a, b in pairs)


def _changes(values: Numbers) -> Rows:
    """Where runs of equal rows start in sorted ``values``."""
    if not len(values):
        return np.empty(0, np.intp)
    differs = values[1:] != values[:-1]
    return np.flatnonzero(np.r_[True, differs if differs.ndim == 1 else differs.any(axis=1)])


def _mixed(order: Rows, starts: Rows, codes: Numbers) -> tuple[int, list[tuple[int, int]]]:
    """Number of runs of ``order`` whose rows have several codes, and a pair of rows of the first ones."""
    if not len(starts):
        return 0, []
    ordered = codes[order]
    runs = np.flatnonzero(np.minimum.reduceat(ordered, starts) != np.maximum.reduceat(ordered, starts))
    ends = np.r_[starts[1:], len(order)]
    pairs = []
    for run in runs[:MOST_EXAMPLES]:
        members = order[starts[run] : ends[run]]
        other = members[codes[members] != codes[members[0]]][0]
        pairs.append((int(members[0]), int(other)))
    return len(runs), pairs


def _has_texture(scan: Scan) -> npt.NDArray[np.bool_]:
    ones = np.bitwise_count(scan.dhash)
    telling = (ones >= _LEAST_BITS) & (ones <= 64 - _LEAST_BITS)
    for start in range(0, len(scan), _CHUNK):
        cells = scan.thumbnail[start : start + _CHUNK].reshape(-1, 16, 3).mean(axis=2, dtype=np.float32)
        telling[start : start + _CHUNK] &= cells.std(axis=1) >= _LEAST_CONTRAST
    return telling


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Images that look exactly alike are one node.

    Attributes:
        rows: the images compared.
        node: of each of them.
        phash, dhash, thumbnail: of each node.
    """

    rows: Rows
    node: Rows
    phash: npt.NDArray[np.uint64]
    dhash: npt.NDArray[np.uint64]
    thumbnail: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, rows: Rows, scan: Scan) -> "_Nodes":
        hashes = np.stack([scan.phash[rows], scan.dhash[rows]], axis=1)
        order = np.lexsort(hashes.T)
        starts = _changes(hashes[order])
        node = np.empty(len(rows), np.intp)
        node[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(rows)]))
        first = rows[order[starts]]
        unlike = np.flatnonzero(~_correlated(scan.thumbnail, rows, first[node]))  # same hashes, other colours
        node[unlike] = len(first) + np.arange(len(unlike))
        first = np.r_[first, rows[unlike]]
        return cls(rows, node, scan.phash[first], scan.dhash[first], scan.thumbnail[first])

    def range_of(self, codes: Numbers, among: npt.NDArray[np.bool_] | None = None) -> tuple[Numbers, Numbers]:
        """Lowest and highest code of each node's images (those in ``among``); low > high where there is none."""
        low = np.full(len(self.phash), np.iinfo(np.int32).max, np.int32)
        high = np.full(len(self.phash), -1, np.int32)
        chosen = slice(None) if among is None else np.flatnonzero(among)
        np.minimum.at(low, self.node[chosen], codes[chosen])
        np.maximum.at(high, self.node[chosen], codes[chosen])
        return low, high


def _correlated(thumbnails: Numbers, first: Rows, second: Rows) -> npt.NDArray[np.bool_]:
    """Whether the thumbnails of each pair of rows show the same colours, up to brightness and contrast."""
    alike = np.empty(len(first), bool)
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        a, b = (thumbnails[rows[part]].astype(np.float32) for rows in (first, second))
        a, b = (cells - cells.mean(axis=1, keepdims=True) for cells in (a, b))
        norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        alike[part] = (a * b).sum(axis=1) >= LEAST_CORRELATION * norms
    return alike


class _Bounds:
    """Lowest and highest code of each node, alone and together with the nodes that look like it."""

    def __init__(self, low: Numbers, high: Numbers) -> None:
        self._own = (low, high)
        self.low, self.high = low.copy(), high.copy()

    def join(self, a: Rows, b: Rows) -> None:
        """Let the nodes of each pair know each other's codes."""
        low, high = self._own
        for here, there in ((a, b), (b, a)):
            np.minimum.at(self.low, here, low[there])
            np.maximum.at(self.high, here, high[there])


def _alike(nodes: _Nodes, facts: Facts) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], int]:
    """Which images look like one in another split, and like one of the other class and of another group.

    The number is that of nodes for which the search was incomplete.
    """
    labels, groups = facts.labels[nodes.rows].astype(np.int32), facts.groups[nodes.rows]
    splits = _Bounds(*nodes.range_of(facts.splits[nodes.rows]))
    classes = {label: _Bounds(*nodes.range_of(groups, labels == label)) for label in (REAL, GENERATED)}
    both_kinds = _kinds(nodes, facts.splits[nodes.rows] * 4 + labels + 1)
    class_kinds = _kinds(nodes, labels + _CLASS_KINDS)
    crowded = np.zeros(len(nodes.phash), bool)
    for band in bands_for(len(nodes.phash), most=MOST_PHASH, crowd=_CROWD):
        # nodes of which nothing more can be learnt from each other need not meet: see _kinds
        kinds = np.where(splits.low != splits.high, class_kinds, both_kinds)
        in_both = np.logical_and.reduce([bounds.low < bounds.high for bounds in classes.values()])
        kinds[in_both & (splits.low != splits.high)] = _SETTLED
        for a, b in _near_pairs(nodes, kinds, band, crowded):
            for bounds in (splits, *classes.values()):
                bounds.join(a, b)
    in_split = splits.low[nodes.node] != splits.high[nodes.node]
    in_class = np.zeros(len(labels), bool)
    for label, other in ((REAL, classes[GENERATED]), (GENERATED, classes[REAL])):
        low, high = other.low[nodes.node], other.high[nodes.node]
        own_group_alone = (low == groups) & (high == groups)
        in_class |= (labels == label) & (low <= high) & ~own_group_alone
    return in_split, in_class, int(crowded.sum())


def _near_pairs(nodes: _Nodes, kinds: Numbers, band: Band, crowded: npt.NDArray[np.bool_]) -> Iterator[Pairs]:
    """Pairs of nodes that look alike, share a band and differ in kind; marks the nodes of overfull bands."""
    arranged = band.arrange(nodes.phash)
    order = np.argsort(arranged)
    starts = _changes(arranged[order] >> np.uint64(BITS - band.width))
    sizes = np.diff(np.r_[starts, len(order)])
    crowded[order] |= np.repeat(sizes > _WINDOW + 1, sizes)
    ahead = np.repeat(starts + sizes, sizes) - np.arange(len(order)) - 1  # neighbours up to the band's end
    for a, b in _candidates(arranged[order], nodes.dhash[order], kinds[order], ahead=ahead):
        first, second = order[a], order[b]
        alike = _correlated(nodes.thumbnail, first, second)
        yield first[alike], second[alike]


def _kinds(nodes: _Nodes, codes: Numbers) -> Numbers:
    """The code that all images of a node have; negative and unique where they differ. Nodes of one kind need not meet."""
    low, high = nodes.range_of(codes)
    return np.where(low == high, low, -1 - np.arange(len(low)))


def _candidates(hashes: Numbers, dhash: Numbers, kinds: Numbers, *, ahead: Rows) -> Iterator[Pairs]:
    """Pairs of sorted places within the limits of both hashes; each with at most ``_WINDOW`` neighbours ahead."""
    for start in range(0, len(hashes), _CHUNK):
        stop = min(start + _CHUNK, len(hashes))
        for step in range(1, min(int(ahead[start:stop].max()), _WINDOW) + 1):
            end = min(stop, len(hashes) - step)
            here, there = slice(start, end), slice(start + step, end + step)
            near = np.flatnonzero(np.bitwise_count(hashes[here] ^ hashes[there]) <= MOST_PHASH) + start
            near = near[np.bitwise_count(dhash[near] ^ dhash[near + step]) <= MOST_DHASH]
            near = near[kinds[near] != kinds[near + step]]
            if len(near):
                yield near, near + step


def _partners(chosen: Rows, rows: Rows, scan: Scan, facts: Facts, *, across: str) -> list[tuple[int, int]]:
    """The first of the ``chosen`` images, each with the one of ``rows`` that it looks like most."""
    pairs = []
    for row in chosen[:MOST_EXAMPLES]:
        if across == "splits":
            other = rows[facts.splits[rows] != facts.splits[row]]
        else:
            wanted = (facts.labels[rows] == 1 - facts.labels[row]) & (facts.groups[rows] != facts.groups[row])
            other = rows[wanted]
        phash = np.bitwise_count(scan.phash[other] ^ scan.phash[row])
        dhash = np.bitwise_count(scan.dhash[other] ^ scan.dhash[row])
        near = np.flatnonzero((phash <= MOST_PHASH) & (dhash <= MOST_DHASH))
        near = near[_correlated(scan.thumbnail, other[near], np.full(len(near), row))]
        if len(near):  # none where it is alike by way of a node that stands for several images
            best = near[np.argmin(phash[near] + dhash[near])]
            pairs.append((int(row), int(other[best])))
    return pairs
