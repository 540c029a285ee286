"""The metrics of K classes whose verdict is the likeliest. NumPy only.

A class without an image in a split takes no part in what is a mean over classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError
from distill.evaluation.metrics import BINS, Metrics, roc_auc
from distill.evaluation.statistics import Floats, bootstrap_mean, count_groups

Labels = npt.NDArray[np.int64]
_TINY = 1e-7  # float32 probabilities reach 0 exactly; their NLL must stay finite


def class_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    groups: Sequence[Any] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Metrics:
    """Every metric of a split.

    Args:
        labels: ``[N]`` numbers of classes.
        probabilities: ``[N, K]`` calibrated.
        groups: ``[N]`` unit of the bootstrap of the accuracy.
        resamples: bootstrap resamples; 0 leaves ``accuracy_ci`` None.
        seed: of the bootstrap.

    Raises:
        EdgeproofError: no samples, unequal lengths, a label that is no class, or values that are no probabilities.
    """
    truth, scores = check_classes(labels, probabilities)
    said = scores.argmax(axis=1)
    hits = said == truth
    confusion = _confusion(truth, said, classes=scores.shape[1])
    right = scores[np.arange(len(truth)), truth]
    recalls = _ratio(np.diag(confusion), confusion.sum(axis=1))
    return Metrics(
        n=len(truth),
        accuracy=float(hits.mean()),
        accuracy_ci=bootstrap_mean(hits, groups, n=resamples, seed=seed) if resamples else None,
        balanced_accuracy=float(np.nanmean(recalls)),
        macro_f1=_macro_f1(confusion),
        macro_auc=_macro_auc(truth, scores),
        ece=_expected_calibration_error(hits, scores.max(axis=1)),
        nll=float(-np.log(right.clip(min=_TINY)).mean()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        groups=count_groups(groups, len(truth)),
    )


def class_reliability(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, bins: int = BINS
) -> dict[str, list[Any]]:
    """Equal-width bins of the likeliest class's probability: its mean, the share that is right, count.

    Guo et al. 2017 (arXiv 1706.04599). ``confidence`` and ``accuracy`` of an empty bin are None.
    """
    truth, scores = check_classes(labels, probabilities)
    count, confidence, right = _bins(scores.argmax(axis=1) == truth, scores.max(axis=1), bins)
    return {
        "confidence": [
            float(total / size) if size else None for total, size in zip(confidence, count, strict=True)
        ],
        "accuracy": [float(total / size) if size else None for total, size in zip(right, count, strict=True)],
        "count": [int(size) for size in count],
    }


def check_classes(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[Labels, Floats]:
    """Labels as int64 ``[N]`` and probabilities as float64 ``[N, K]``; raises as :func:`class_metrics`."""
    truth, scores = np.asarray(labels, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or scores.ndim != 2 or len(truth) != len(scores) or not len(truth):
        raise EdgeproofError(
            f"labels {truth.shape} and probabilities {scores.shape}: expected [N] and [N, K]"
        )
    outside = truth[(truth < 0) | (truth >= scores.shape[1])]
    if outside.size:
        raise EdgeproofError(f"label {outside[0]} among {truth.size}, expected 0 to {scores.shape[1] - 1}")
    if not np.isfinite(scores).all() or (scores < 0).any() or np.abs(scores.sum(axis=1) - 1).max() > 1e-3:
        raise EdgeproofError(
            "probabilities of classes: found rows that do not add up to 1, expected a softmax"
        )
    return truth, scores


def _confusion(truth: Labels, said: npt.NDArray[np.intp], *, classes: int) -> Labels:
    return np.bincount(truth * classes + said, minlength=classes**2).reshape(classes, classes)


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _macro_f1(confusion: Labels) -> float:
    """Mean over classes with images or verdicts of 2 TP / (2 TP + FP + FN)."""
    right = np.diag(confusion)
    return float(np.nanmean(_ratio(2 * right, confusion.sum(axis=0) + confusion.sum(axis=1))))


def _macro_auc(truth: Labels, scores: Floats) -> float | None:
    """Mean over classes of the AUC of one against the rest."""
    present = np.unique(truth)
    if len(present) < 2:
        return None
    return float(np.mean([roc_auc(truth == label, scores[:, label]) for label in present]))


def _bins(hits: npt.NDArray[np.bool_], confidence: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    index = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    count, total, right = (
        np.bincount(index, weights=weights, minlength=bins).astype(np.float64)
        for weights in (None, confidence, hits.astype(np.float64))
    )
    return count, total, right


def _expected_calibration_error(hits: npt.NDArray[np.bool_], confidence: Floats) -> float:
    _, total, right = _bins(hits, confidence, BINS)
    return float(np.abs(total - right).sum() / len(hits))
