"""The metrics of a split: of a binary detector at one frozen threshold, with the curves a report draws. NumPy only.

The positive class is *generated* (1); a sample is called generated when ``probability >= threshold``.
A value that a split cannot give (AUC with one class, TPR without fakes) is None, never an error and never
NaN: a generator's split with no reals in it must not stop a report.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError, unknown_name
from distill.evaluation.statistics import (
    STATISTICS,
    Curve,
    Floats,
    auc,
    bootstrap_cis,
    check_scores,
    count_groups,
    curves,
)

BINS = 15
Bools = npt.NDArray[np.bool_]
_TINY = 1e-7  # float32 probabilities reach 0 and 1 exactly; their NLL must stay finite
WITH_INTERVALS = ("auc", "tpr_at_1fpr", "tpr_at_5fpr")
OBJECTIVES = ("balanced_accuracy", "f1")


@dataclass(frozen=True)
class Metrics:
    """What one model does on one split; what its task does not have is None.

    Attributes:
        n: images.
        groups: that they belong to: the unit of every interval; None in records from before they were counted.
        n_real, n_fake: of them, for two classes.
        auc, auc_ci, ap, eer: of the probability of *generated*, for two classes.
        accuracy, accuracy_ci: of the likeliest of K classes.
        balanced_accuracy: mean of the classes' recalls.
        tpr, tnr, f1, tpr_at_1fpr, tpr_at_5fpr: for two classes; ``tpr_at_1fpr_ci``, ``tpr_at_5fpr_ci`` bootstrap over
            groups, None in records from before there were any.
        macro_f1, macro_auc: means over K classes, the latter of each against the rest.
        ece: expected calibration error with 15 bins, of the probability of *generated* or of the likeliest class.
        nll: mean negative log-likelihood (log loss), in nats.
        brier: of the probability of *generated*.
        confusion: true classes in rows: ``[[tn, fp], [fn, tp]]``, or ``[K][K]``.
    """

    n: int
    ece: float | None
    nll: float | None
    balanced_accuracy: float | None
    confusion: tuple[tuple[int, ...], ...]
    n_real: int | None = None
    n_fake: int | None = None
    auc: float | None = None
    auc_ci: tuple[float, float] | None = None
    accuracy: float | None = None
    accuracy_ci: tuple[float, float] | None = None
    ap: float | None = None
    eer: float | None = None
    tpr: float | None = None
    tnr: float | None = None
    f1: float | None = None
    tpr_at_1fpr: float | None = None
    tpr_at_5fpr: float | None = None
    macro_f1: float | None = None
    macro_auc: float | None = None
    brier: float | None = None
    groups: int | None = None
    tpr_at_1fpr_ci: tuple[float, float] | None = None
    tpr_at_5fpr_ci: tuple[float, float] | None = None

    @property
    def score(self) -> float | None:
        """The measure that models are compared by: AUC of two classes, accuracy of K."""
        return self.auc if self.accuracy is None else self.accuracy

    @property
    def score_ci(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        return self.auc_ci if self.accuracy is None else self.accuracy_ci

    @property
    def guess(self) -> float:
        """What guessing scores: an AUC of 0.5, or the accuracy of always naming the commonest class."""
        return 0.5 if self.accuracy is None else max(map(sum, self.confusion)) / self.n

    def beyond_guessing(self, margin: float) -> float:
        """The score that lies ``margin`` above an AUC of 0.5, or as far on the way from guessing to perfect."""
        return self.guess + 2 * margin * (1 - self.guess)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it: intervals and the confusion matrix as lists."""
        values = asdict(self)
        for name in ("auc_ci", "accuracy_ci", "tpr_at_1fpr_ci", "tpr_at_5fpr_ci"):
            values[name] = None if values[name] is None else list(values[name])
        values["confusion"] = [list(row) for row in self.confusion]
        return values


def binary_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    threshold: float,
    groups: Sequence[Any] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Metrics:
    """Every metric of a split.

    Args:
        labels: ``[N]``, 1 = generated.
        probabilities: ``[N]`` calibrated, in 0..1.
        threshold: frozen beforehand on validation data.
        groups: ``[N]`` unit of the bootstrap (see :func:`distill.evaluation.statistics.bootstrap_ci`).
        resamples: bootstrap resamples; 0 leaves the intervals None.
        seed: of the bootstrap.

    Raises:
        EdgeproofError: unequal lengths, labels other than 0 and 1, probabilities outside 0..1.

    """
    truth, scores = _check(labels, probabilities)
    curve = curves(truth, scores)
    confusion = _confusion(truth, scores >= threshold)
    (tn, fp), (fn, tp) = confusion
    tpr, tnr = _share(tp, tp + fn), _share(tn, tn + fp)
    ranked: dict[str, Any] = {name: _number(statistic(curve)[0]) for name, statistic in STATISTICS.items()}
    if resamples:
        drawn = bootstrap_cis(truth, scores, groups, statistics=WITH_INTERVALS, n=resamples, seed=seed)
        ranked |= {f"{name}_ci": interval for name, interval in drawn.items()}
    return Metrics(
        n=truth.size,
        n_real=tn + fp,
        n_fake=tp + fn,
        eer=_equal_error_rate(curve),
        balanced_accuracy=None if tpr is None or tnr is None else (tpr + tnr) / 2,
        tpr=tpr,
        tnr=tnr,
        f1=_share(2 * tp, 2 * tp + fp + fn) if tp + fn else None,
        ece=_expected_calibration_error(truth, scores),
        nll=_negative_log_likelihood(truth, scores),
        brier=float(np.mean((scores - truth) ** 2)) if truth.size else None,
        confusion=confusion,
        groups=count_groups(groups, truth.size),
        **ranked,
    )


def verdicts(probabilities: npt.ArrayLike, threshold: float | None) -> npt.NDArray[np.int64]:
    """Number of the class ``[N]``: 1 where the probability of *generated* ``[N]`` reaches the threshold, else 0; or the
    likeliest of K classes ``[N, K]``, which have no threshold.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    found = scores.argmax(axis=1) if threshold is None else scores >= threshold
    return np.asarray(found, dtype=np.int64)


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve of any scores (higher = more likely generated).

    Raises:
        EdgeproofError: malformed input, or only one class.

    """
    truth, values = check_scores(labels, scores)
    both_classes(truth, purpose="AUC")
    return float(auc(curves(truth, values))[0])


def choose_threshold(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, objective: str = "balanced_accuracy"
) -> float:
    """The threshold that is best on these (validation) samples, to be frozen.

    Candidates lie halfway between neighbouring probabilities, so that an export's rounding flips no
    verdict; of equally good ones the nearest to 0.5 is taken, then the lower, so the choice is deterministic.

    Raises:
        EdgeproofError: unknown objective, malformed input, or only one class.

    """
    if objective not in OBJECTIVES:
        raise unknown_name(kind="threshold objective", given=objective, choices=OBJECTIVES)
    truth, scores = _check(labels, probabilities)
    both_classes(truth, purpose="choosing a threshold")
    curve = curves(truth, scores)
    # Column k calls the k highest distinct scores generated; column 0 (none) is no threshold in 0..1.
    true, false = curve.true_positives[0, 1:], curve.false_positives[0, 1:]
    if objective == "f1":
        quality = 2 * true / (true + false + true[-1])
    else:
        quality = (true / true[-1] + 1 - false / false[-1]) / 2
    accepted = curve.thresholds[1:]
    candidates = np.append((accepted[:-1] + accepted[1:]) / 2, 0.0)
    best = candidates[quality >= quality.max() - 1e-12]
    return float(min(best, key=lambda value: (abs(value - 0.5), value)))


def roc_points(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, at_most: int = 101
) -> dict[str, list[float]] | None:
    """``{"fpr": [...], "tpr": [...]}`` from (0, 0) to (1, 1), ``at_most`` points; None for one class."""
    truth, scores = _check(labels, probabilities)
    if truth.all() or not truth.any():
        return None
    curve = curves(truth, scores)
    fpr, tpr = curve.fpr[0], curve.tpr[0]
    if fpr.size > at_most:
        # Evenly along the curve's length: neither the steep start nor the flat end loses its shape.
        length = fpr + tpr
        keep = np.unique(
            np.searchsorted(length, np.linspace(0.0, length[-1], at_most)).clip(max=fpr.size - 1)
        )
        fpr, tpr = fpr[keep], tpr[keep]
    return {"fpr": fpr.tolist(), "tpr": tpr.tolist()}


def reliability(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, bins: int = BINS
) -> dict[str, list[Any]]:
    """Equal-width bins of P(generated): mean probability, share that is generated, count.

    ``confidence`` and ``accuracy`` of an empty bin are None. Bin k holds ``k/bins <= p < (k+1)/bins``.
    """
    truth, scores = _check(labels, probabilities)
    count, probability, generated = _bins(truth, scores, bins)
    return {
        "confidence": [_share(total, size) for total, size in zip(probability, count, strict=True)],
        "accuracy": [_share(total, size) for total, size in zip(generated, count, strict=True)],
        "count": [int(size) for size in count],
    }


def both_classes(truth: Bools, *, purpose: str) -> None:
    """Raise an EdgeproofError that names the class that is missing from bool labels ``[N]``."""
    for name, found in (("generated", truth.any()), ("real", not truth.all())):
        if not found or not truth.size:
            raise EdgeproofError(f"{purpose}: no {name} sample among {truth.size}, expected both classes")


def _check(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[Bools, Floats]:
    truth, scores = check_scores(labels, probabilities)
    outside = scores[(scores < 0) | (scores > 1)]
    if outside.size:
        raise EdgeproofError(f"probability {outside[0]:g} among {scores.size}, expected values in 0..1")
    return truth, scores


def _confusion(truth: Bools, called: Bools) -> tuple[tuple[int, int], tuple[int, int]]:
    tn, fp, fn, tp = np.bincount(2 * truth + 1 * called, minlength=4).tolist()
    return (tn, fp), (fn, tp)


def _equal_error_rate(curve: Curve) -> float | None:
    """Where the ROC polyline crosses FPR = 1 - TPR."""
    fpr, fnr = curve.fpr[0], 1 - curve.tpr[0]
    gap = fpr - fnr  # rises from -1 to 1
    if np.isnan(gap).any() or gap.size < 2:
        return None
    after = int(np.argmax(gap >= 0))
    part = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(fpr[after - 1] + part * (fpr[after] - fpr[after - 1]))


def _bins(truth: Bools, scores: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    index = np.minimum((scores * bins).astype(np.intp), bins - 1)
    count, probability, generated = (
        np.bincount(index, weights=weights, minlength=bins).astype(np.float64)
        for weights in (None, scores, truth.astype(np.float64))
    )
    return count, probability, generated


def expected_calibration_error(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float | None:
    """ECE with 15 bins of the probability of *generated* ``[N]``; None of no sample.

    Raises:
        EdgeproofError: as :func:`binary_metrics` does.
    """
    return _expected_calibration_error(*_check(labels, probabilities))


def _expected_calibration_error(truth: Bools, scores: Floats) -> float | None:
    """Binary ECE: bins of P(generated) against the share that is generated, weighted by count."""
    if not truth.size:
        return None
    _, probability, generated = _bins(truth, scores, BINS)
    return float(np.abs(probability - generated).sum() / truth.size)


def _negative_log_likelihood(truth: Bools, scores: Floats) -> float | None:
    if not truth.size:
        return None
    right = np.where(truth, scores, 1 - scores)
    return float(-np.log(right.clip(min=_TINY)).mean())


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
