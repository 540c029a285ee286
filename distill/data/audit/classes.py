"""What the audit asks of K classes of any names. Torch-free.

The questions about compression and file sizes are put to real and generated images alone: there, nothing but the pixels
may tell the classes apart. What K classes show may take more bytes in one than in another by its nature, and to re-encode
one of them means nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.audit.duplicates import near_duplicates
from distill.data.audit.findings import Facts, Finding
from distill.data.samples import UNLABELLED, Sample
from distill.data.scan import Scan
from distill.evaluation.statistics import bootstrap_mean

NOT_ASKED = (
    "file_bytes",
    "compression",
    "flip_jpeg96",
    "flip_jpeg95_fakes",
    "flip_png",
    "near_duplicates_across_classes",
)
_SEEN_AT_MOST = 20_000
_NOTHING = -1.0  # stands for NaN: below every value a feature has
_UNLIKE_TRAIN = 0.2


def class_findings(
    samples: Sequence[Sample], facts: Facts, scan: Scan, *, labels: Sequence[str], seed: int
) -> dict[str, Finding]:
    """What metadata tell of the class, and images that look like one in another split."""
    alike = near_duplicates(samples, replace(facts, labels=np.minimum(facts.labels, 0)), scan)
    name = "near_duplicates_across_splits"
    return {"metadata": _metadata(facts, scan, classes=len(labels), seed=seed), name: alike[name]}


def class_notes(facts: Facts, labels: Sequence[str]) -> dict[str, Finding]:
    """How even the classes are, and what was not asked."""
    why = f"{', '.join(NOT_ASKED)}: questions to the task binary alone, here are {len(labels)} classes"
    return {"class_balance": _balance(facts, labels), "not_asked": Finding(len(NOT_ASKED), why)}


def _metadata(facts: Facts, scan: Scan, *, classes: int, seed: int) -> Finding:
    """Balanced accuracy, above chance, of a probe that sees format, JPEG quality, width and height alone."""
    rows = np.flatnonzero(facts.labelled)
    if len(rows) > _SEEN_AT_MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SEEN_AT_MOST, replace=False))
    seen, truth, groups = scan.take(rows), facts.labels[rows], facts.groups[rows]
    columns = (seen.format, seen.quality, seen.width, seen.height)
    features = np.stack(
        [np.nan_to_num(column.astype(np.float64), nan=_NOTHING) for column in columns], axis=1
    )
    hits = _said(features, truth, groups, seed=seed) == truth
    weight = len(truth) / (
        classes * np.bincount(truth, minlength=classes)[truth]
    )  # every class counts the same
    found, interval = (
        float((hits * weight).mean()),
        bootstrap_mean(hits * weight, groups, seed=seed, level=0.99),
    )
    note = (
        f"balanced accuracy of a classifier of format, JPEG quality, width and height: {found:.3f}, chance is "
        f"{1 / classes:.3f}"
    )
    return Finding(found - 1 / classes, note, shown=interval is not None and interval[0] > 1 / classes)


def _said(
    features: npt.NDArray[Any], truth: npt.NDArray[Any], groups: npt.NDArray[Any], *, seed: int
) -> npt.NDArray[Any]:
    """The class of every sample by a probe that saw no sample of its group."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    said = np.zeros(len(truth), dtype=truth.dtype)
    folds = min(5, *(len(np.unique(groups[truth == label])) for label in np.unique(truth)))
    for train, test in StratifiedGroupKFold(folds).split(features, truth, groups):
        probe = ExtraTreesClassifier(50, min_samples_leaf=5, class_weight="balanced", random_state=seed)
        said[test] = probe.fit(features[train], truth[train]).predict(features[test])
    return said


def _balance(facts: Facts, labels: Sequence[str]) -> Finding:
    """The largest difference in the share of a class between a split and the training split."""
    shares = {}
    for name in facts.split_names:
        truth = facts.labels[facts.within(name) & (facts.labels != UNLABELLED)]
        if len(truth):
            shares[name] = np.bincount(truth, minlength=len(labels)) / len(truth)
    reference = shares.get("train", next(iter(shares.values())))
    gaps = {name: float(np.abs(share - reference).max()) for name, share in shares.items()}
    unlike = [name for name, gap in gaps.items() if gap > _UNLIKE_TRAIN]
    warning = f"; WARNING: {', '.join(unlike)} unlike train" if unlike else ""
    most, least = int(reference.argmax()), int(reference.argmin())
    note = f"of the training images {labels[most]} has {reference[most]:.0%}, {labels[least]} has {reference[least]:.0%}"
    return Finding(max(gaps.values()), note + warning)
