"""Temperature and bias that turn a model's logit into a calibrated probability, and their fit on validation data.

Torch-free; SciPy is imported when something is fitted.
"""

import math
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from distill.errors import EdgeproofError
from distill.evaluation.metrics import both_classes
from distill.evaluation.statistics import Floats, check_scores

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_TINY = 1e-12  # a probability of 0 or 1 has no logit


class Calibration(BaseModel):
    """``probability = sigmoid(logit / temperature + bias)`` (Platt scaling with Guo et al. 2017's temperature)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    temperature: Annotated[float, Field(gt=0.0)] = 1.0
    bias: float = 0.0


def fit_calibration(
    labels: npt.ArrayLike, logits: npt.ArrayLike, *, pos_weight: float = 1.0, fit_bias: bool = True
) -> Calibration:
    """Minimise the NLL of ``sigmoid(logit / temperature + bias)`` over temperature and bias.

    The targets are Platt's (1999, section 2.2), ``(n1 + 1) / (n1 + 2)`` and ``1 / (n0 + 2)`` instead of 1 and
    0: they cost nothing on many samples and keep a perfectly separated validation set from driving every
    probability to 0 or 1. The problem is convex in (1 / temperature, bias), so the answer is deterministic.

    Args:
        labels: ``[N]``, 1 = generated.
        logits: ``[N]`` raw logits.
        pos_weight: weight of the positive class in the training loss. It shifts the logit by its logarithm,
            which is taken off first; with ``fit_bias`` the bias would find that shift by itself.
        fit_bias: False fits the temperature alone (Guo et al. 2017); the bias is then the shift's.

    Returns:
        Temperature in [0.05, 20], and bias.

    Raises:
        EdgeproofError: malformed input, one class only, ``pos_weight`` not positive, or no convergence.

    """
    truth, values = check_scores(labels, logits)
    both_classes(truth, purpose="calibration")
    if not (math.isfinite(pos_weight) and pos_weight > 0):
        raise EdgeproofError(f"pos_weight is {pos_weight:g}, expected a positive number")
    shift = math.log(pos_weight)
    slope, bias = _fit(_platt_targets(truth), values - shift, fit_bias=fit_bias)
    return Calibration(temperature=1 / slope, bias=bias - slope * shift)


def uncalibrated(probabilities: npt.ArrayLike, calibration: Calibration) -> Floats:
    """What a model would have said without its calibration: ``sigmoid(logit)``, from calibrated probabilities ``[N]``."""
    known = np.asarray(probabilities, dtype=np.float64).clip(_TINY, 1 - _TINY)
    logits = calibration.temperature * (np.log(known) - np.log1p(-known) - calibration.bias)
    raw: Floats = 1 / (1 + np.exp(-logits.clip(-700, 700)))
    return raw


def _platt_targets(truth: npt.NDArray[np.bool_]) -> Floats:
    positives = int(truth.sum())
    negatives = truth.size - positives
    return np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def _fit(targets: Floats, values: Floats, *, fit_bias: bool) -> tuple[float, float]:
    from scipy.optimize import minimize  # training-side only, and slow to import
    from scipy.special import expit

    # Standardised logits condition the problem: raw ones may be thousands away from zero.
    center = float(values.mean()) if fit_bias else 0.0
    scale = float(values.std()) or 1.0
    unit = (values - center) / scale

    def loss(parameters: Floats) -> tuple[float, Floats]:
        score = parameters[0] * unit + parameters[1]
        residual = expit(score) - targets
        value = float(np.mean(np.logaddexp(0.0, score) - targets * score))
        return value, np.array([np.mean(residual * unit), np.mean(residual)])

    bias_bounds = (None, None) if fit_bias else (0.0, 0.0)
    result: Any = minimize(
        loss,
        x0=np.array([min(max(1.0, scale / MAX_TEMPERATURE), scale / MIN_TEMPERATURE), 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(scale / MAX_TEMPERATURE, scale / MIN_TEMPERATURE), bias_bounds],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )
    if not np.isfinite(result.x).all():
        raise EdgeproofError(f"calibration did not converge on {values.size} logits ({result.message})")
    slope = float(result.x[0]) / scale
    return slope, float(result.x[1]) - slope * center


def fit_temperature(labels: npt.ArrayLike, logits: npt.ArrayLike) -> Calibration:
    """The one temperature (Guo et al. 2017, arXiv 1706.04599) that minimises the NLL of K classes.

    Args:
        labels: ``[N]`` numbers of classes.
        logits: ``[N, K]``.
    """
    from scipy.optimize import minimize_scalar

    truth, values = np.asarray(labels, dtype=np.int64), np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        scaled = values / math.exp(log_temperature)
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]))

    bounds = (math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
    return Calibration(temperature=math.exp(float(minimize_scalar(loss, bounds=bounds, method="bounded").x)))
