"""Do two forms of the same model say the same? And what ``parity.json`` holds. Torch-free."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from distill.errors import EdgeproofError
from distill.evaluation.metrics import verdicts
from distill.record import Frozen, Record

FP32_LIMIT = 1e-3


class ParityReport(Frozen):
    """Largest difference of the probability, verdicts that flip, images compared.

    ``max_abs_probability`` is None if either side has a value that is not finite; that never passes.
    ``limit`` is None where only metrics judge (INT8 of a teacher, or of a student that was trained again for it).
    """

    max_abs_probability: float | None
    flips: Annotated[int, Field(ge=0)]
    n: Annotated[int, Field(ge=1)]
    limit: float | None
    passed: bool


class ParityPair(ParityReport):
    """Two forms of ``model`` (its key in the roster), named ``a`` and ``b``, on the same test images."""

    model: str
    a: str
    b: str


class Int8Proof(Frozen):
    """What :mod:`deploy.int8_check` found in the file of an INT8 artifact (its key in the roster)."""

    artifact: str
    int8_weight_share: float
    size_ratio: float
    int8_mac_share: float
    passed: bool
    reason: str


class ParityRecord(Record):
    """``parity.json``: FP32 forms against each other (``pairs``), the proof that INT8 is real, and how far INT8 forms are from
    the FP32 form that each was made from (``drift``).

    Version 2 counts the multiply-accumulates that compute in INT8, where version 1 counted operators, and adds ``drift``.
    """

    version = 2

    passed: bool
    pairs: tuple[ParityPair, ...]
    int8: tuple[Int8Proof, ...]
    drift: tuple[ParityPair, ...] = ()


def compare(
    a: npt.ArrayLike, b: npt.ArrayLike, *, threshold: float | None, limit: float | None = FP32_LIMIT
) -> ParityReport:
    """Compare probabilities of the same images.

    Args:
        a: ``[N]`` (binary: probability of *generated*) or ``[N, K]``.
        b: the same shape, the same images in the same order.
        threshold: verdict of binary probabilities; None for ``[N, K]``, which flips where the argmax changes.
        limit: largest difference that passes; None passes any finite difference.

    Raises:
        EdgeproofError: empty, or shapes that differ.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.ndim not in {1, 2} or left.size == 0:
        raise EdgeproofError(
            f"parity: found shapes {list(left.shape)} and {list(right.shape)}, expected equal [N] or [N, K]"
        )
    flips = int(np.count_nonzero(verdicts(left, threshold) != verdicts(right, threshold)))
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return ParityReport(max_abs_probability=None, flips=flips, n=len(left), limit=limit, passed=False)
    largest = float(np.abs(left - right).max())
    passed = limit is None or largest <= limit
    return ParityReport(max_abs_probability=largest, flips=flips, n=len(left), limit=limit, passed=passed)
