"""Would a detector learn compression instead of pictures? Asked of a probe that sees nothing but compression. Torch-free.

The probe is gradient boosting, cross-validated by group, on what the file's header says of format and JPEG quality
and on what JPEG leaves in pixels (:mod:`distill.data.audit.traces`). Four questions are put to it.

``compression``: how well does the JPEG quality that the *pixels* betray tell the classes apart, on its own? No
re-encoding is needed, so it also sees what none can undo or imitate: reals that were JPEG 75 before everything
was saved as PNG keep that trace through a JPEG 96, and a fake saved as JPEG 95 does not get it.

``flip_jpeg96``: everything saved as JPEG 96, held out, and scored by the probe that learned the data as they are.
What is lost was a header, or a trace weak enough for JPEG 96 to cover: a JPEG of high quality, or one more round of
JPEG in one class. What survives is not shown to be harmless.

``flip_jpeg95_fakes``: only the fakes saved as JPEG 95. If the reals are JPEGs and the fakes are not, the fakes are
now called real, as happens to published detectors. It cannot show a leak where the fakes have that JPEG already.

``flip_png``: everything saved as PNG. No pixel changes, so only what the header tells can be lost; the probe of
this test sees the header alone.

A generator leaves traces too, and re-encoding weakens them, which is no leak. So the probe sees how strong a JPEG's
traces are only in pictures that have been JPEGs: a set that never was compressed gives it nothing to see, in either
class, and no AUC to lose. None of this sees other codecs inside a PNG, a history that a resize has blurred, or JPEG
beyond quality 98.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.audit.findings import Facts, Finding, Rows
from distill.data.audit.probes import Interval, interval_of, out_of_fold
from distill.data.audit.traces import TRACES, jpeg_again, middle, traces
from distill.data.samples import GENERATED, REAL, Dataset
from distill.data.scan import FORMATS, Scan
from distill.data.storage import open_image
from distill.evaluation.metrics import roc_auc
from distill.evaluation.statistics import Floats, paired_bootstrap

Progress = Callable[[int, int], None]
Table = npt.NDArray[np.float64]

AT_MOST = 2000  # images looked at, half of them of each class
_COLUMNS = ("format", "header_quality", *TRACES)
_HEADER, _HISTORY = [0, 1], [_COLUMNS.index("quality")]
_JPEG, _PNG = FORMATS.index("JPEG"), FORMATS.index("PNG")
_FPR = 0.05
_RESAMPLES = 1000
_LEVEL = 0.99  # of every interval: four questions are asked, and each may be answered wrongly by chance


@dataclass(frozen=True, eq=False)
class _Sampled:
    """The images that the probe sees: label and group of each, and the seed of all that is drawn."""

    labels: npt.NDArray[np.int16]
    groups: npt.NDArray[np.int32]
    seed: int

    def probe(self, features: Table, *others: Table) -> list[Floats]:
        """Scores out of fold: see :func:`distill.data.audit.probes.out_of_fold`."""
        return out_of_fold(features, self.labels, self.groups, seed=self.seed, others=others)

    def interval(self, scores: Floats) -> Interval:
        """99 % interval of the AUC."""
        return interval_of(self.labels, scores, self.groups, seed=self.seed, level=_LEVEL)


def flip_tests(
    dataset: Dataset, facts: Facts, scan: Scan, *, seed: int, progress: Progress | None = None
) -> dict[str, Finding]:
    """The findings ``compression``, ``flip_jpeg96``, ``flip_jpeg95_fakes`` and ``flip_png``.

    Each class must have at least two groups. Pictures are re-encoded in memory, at most :data:`AT_MOST` of them.
    """
    rows = sample_rows(facts, at_most=AT_MOST, seed=seed)
    sampled = _Sampled(facts.labels[rows], facts.groups[rows], seed)
    as_is, jpeg96, jpeg95_fakes = _tables(dataset, scan, rows, progress)
    png = as_is.copy()
    png[:, _HEADER] = (_PNG, np.nan)
    (history,) = sampled.probe(as_is[:, _HISTORY])
    before, after_96, after_95 = sampled.probe(as_is, jpeg96, jpeg95_fakes)
    header, after_png = sampled.probe(as_is[:, _HEADER], png[:, _HEADER])
    return {
        "compression": _advantage(sampled, history),
        "flip_jpeg96": _auc_drop(
            sampled, before, after_96, sees="compression", flip="everything saved as JPEG 96"
        ),
        "flip_jpeg95_fakes": _recall_drop(sampled, before, after_95),
        "flip_png": _auc_drop(
            sampled, header, after_png, sees="format and JPEG quality", flip="everything saved as PNG"
        ),
    }


def sample_rows(facts: Facts, *, at_most: int, seed: int) -> Rows:
    """Rows of labelled images, as many of each class as there are, at most ``at_most``, spread over the groups.

    No group gives a second image of a class before all have given one, and both classes ask the groups in the
    same order, so that pairs stay together.
    """
    random = np.random.default_rng(seed)
    order_of_groups = random.permutation(int(facts.groups.max(initial=0)) + 1)
    classes = []
    for label in (REAL, GENERATED):
        rows = random.permutation(np.flatnonzero(facts.labelled & (facts.labels == label)))
        place = order_of_groups[facts.groups[rows]]
        by_group = np.argsort(place, kind="stable")
        starts = np.flatnonzero(np.diff(place[by_group], prepend=-1))
        turn = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
        classes.append(rows[by_group][np.lexsort((place[by_group], turn))])
    count = min(at_most // 2, *(len(rows) for rows in classes))
    return np.sort(np.concatenate([rows[:count] for rows in classes]))


def _tables(
    dataset: Dataset, scan: Scan, rows: Rows, progress: Progress | None
) -> tuple[Table, Table, Table]:
    """Features ``[N, F]`` of the images as they are, as JPEG 96, and with only the fakes as JPEG 95."""
    as_is, jpeg96, jpeg95_fakes = (np.empty((len(rows), len(_COLUMNS))) for _ in range(3))
    for place, row in enumerate(rows):
        sample = dataset.samples[row]
        picture = middle(open_image(dataset.root, sample))
        as_is[place] = (scan.format[row], scan.quality[row], *traces(picture))
        jpeg96[place] = (_JPEG, 96, *traces(jpeg_again(picture, 96)))
        jpeg95_fakes[place] = as_is[place]
        if sample.label == GENERATED:
            jpeg95_fakes[place] = (_JPEG, 95, *traces(jpeg_again(picture, 95)))
        if progress:
            progress(place + 1, len(rows))
    return as_is, jpeg96, jpeg95_fakes


def _advantage(sampled: _Sampled, scores: Floats) -> Finding:
    auc, (low, high) = roc_auc(sampled.labels, scores), sampled.interval(scores)
    note = (
        f"AUC of a classifier of the JPEG quality that the pixels betray, whatever the header says: {auc:.3f}"
    )
    return _finding(auc - 0.5, (low - 0.5, high - 0.5), note)


def _auc_drop(sampled: _Sampled, before: Floats, after: Floats, *, sees: str, flip: str) -> Finding:
    kept, left = roc_auc(sampled.labels, before), roc_auc(sampled.labels, after)
    note = f"AUC of a classifier of {sees} {kept:.3f}, with {flip} {left:.3f}"
    drop = paired_bootstrap(
        sampled.labels, before, after, sampled.groups, n=_RESAMPLES, seed=sampled.seed, level=_LEVEL
    )
    return _finding(kept - left, drop.ci or (0.0, 0.0), note, above_chance=sampled.interval(before)[0] > 0.5)


def _recall_drop(sampled: _Sampled, before: Floats, after: Floats) -> Finding:
    fakes = sampled.labels == GENERATED
    threshold = np.quantile(before[sampled.labels == REAL], 1 - _FPR, method="higher")
    found, still_found = before[fakes] > threshold, after[fakes] > threshold
    note = (
        "share of the fakes found by a classifier of compression that calls 5 % of the reals fake: "
        f"{found.mean():.3f}, with the fakes alone saved as JPEG 95 {still_found.mean():.3f}"
    )
    interval = _mean_interval(found.astype(float) - still_found, sampled.groups[fakes], seed=sampled.seed)
    drop = float(found.mean() - still_found.mean())
    return _finding(drop, interval, note, above_chance=sampled.interval(before)[0] > 0.5)


def _finding(value: float, interval: Interval, note: str, *, above_chance: bool = True) -> Finding:
    """A leak must be shown: in a small set chance alone takes a drop beyond the limit."""
    low, high = interval
    return Finding(
        value,
        f"{note} (99 % interval of the value: {low:.2f} to {high:.2f})",
        shown=above_chance and low > 0,
    )


def _mean_interval(values: Floats, groups: npt.NDArray[Any], *, seed: int) -> Interval:
    """99 % interval of a mean, by drawing whole groups with replacement."""
    numbers = np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(numbers, values), np.bincount(numbers)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
