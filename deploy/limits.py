"""What a smaller form of a model may lose: in each metric, and in the probability of a single image. Torch-free."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError, unknown_name
from distill.evaluation.classes import class_metrics
from distill.evaluation.metrics import Metrics, binary_metrics
from distill.task import Task

DRIFT: Final = "drift"
"""The largest change of a probability of one image: a metric may hold while single verdicts turn."""

MAX_DRIFT: Final = 0.2
_MAX_DROP: Final = {"binary": {"auc": 0.005, "tpr_at_5fpr": 0.03}, "multiclass": {"accuracy": 0.005}}
_METRICS: Final = {
    "binary": ("auc", "ap", "tpr_at_1fpr", "tpr_at_5fpr", "balanced_accuracy", "tpr", "tnr", "f1"),
    "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc"),
}

Probabilities = npt.NDArray[np.float64]


def parse_limits(given: Sequence[str]) -> dict[str, float]:
    """``METRIC=VALUE`` each, as after ``--max-drop``; which metrics there are depends on the task.

    Raises:
        EdgeproofError: another form, or a value outside 0..1.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not equals or not 0 <= number <= 1:
            raise EdgeproofError(
                f"--max-drop {text}: expected METRIC=VALUE with a value from 0 to 1, as in auc=0.005"
            )
        found[name] = number
    return found


def limits_of(task: Task, given: Mapping[str, float], *, labelled: bool) -> dict[str, float]:
    """The limits that hold: what was given, over the defaults of what can be measured.

    Raises:
        EdgeproofError: a metric that the task does not have, or one that needs labels where there are none.
    """
    known = (*_METRICS[task.kind], DRIFT)
    for name in given:
        if name not in known:
            raise unknown_name(kind="metric", given=name, choices=known)
        if name != DRIFT and not labelled:
            raise EdgeproofError(
                f"--max-drop {name}: the validation images have no labels of both classes, expected a layout that "
                f"'edgeproof list layouts' names; without labels only {DRIFT} can be limited"
            )
    defaults = _MAX_DROP[task.kind] if labelled else {}
    return {**defaults, DRIFT: MAX_DRIFT, **given}


def metrics_of(
    task: Task, labels: npt.NDArray[np.int64], probabilities: Probabilities, *, threshold: float | None
) -> dict[str, float]:
    """Every metric that can be limited, by name; what the images cannot give is left out."""
    found: Metrics
    if task.kind == "binary":
        found = binary_metrics(labels, probabilities, threshold=threshold or 0.0, resamples=0)
    else:
        found = class_metrics(labels, probabilities, resamples=0)
    values = {name: getattr(found, name) for name in _METRICS[task.kind]}
    return {name: float(value) for name, value in values.items() if value is not None}


def drift_of(a: Probabilities, b: Probabilities) -> float:
    """The largest difference of a probability of one image; both ``[N]`` or ``[N, K]``. NaN where one is not finite."""
    return float(np.abs(a - b).max())


def exceeded(
    limits: Mapping[str, float], *, drops: Mapping[str, float], drift: float, image: str = ""
) -> list[str]:
    """What lost more than it may, in words; empty if nothing did.

    Args:
        limits: of :func:`limits_of`.
        drops: by metric.
        drift: largest change of one image's probability; NaN is always too much.
        image: the path of that image.
    """
    found = [
        f"{name} drops by {drops[name]:.4f}, at most {limit:g}"
        for name, limit in limits.items()
        if name in drops and drops[name] > limit
    ]
    if not drift <= limits.get(DRIFT, 1.0):
        where = f" ({image})" if image else ""
        found.append(f"one image{where} drifts by {drift:.3f}, at most {limits.get(DRIFT, 1.0):g}")
    return found
