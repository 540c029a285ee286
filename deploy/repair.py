"""The order in which INT8 is repaired: as it comes, then with layers in float, then trained for it. Torch-free."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.quantization_record import QuantizationTry, RepairRecord, Step


class ImpossibleError(Exception):
    """A step of the repair that cannot be taken here; says why."""


@dataclass(frozen=True)
class Form:
    """An INT8 form that was tried.

    Attributes:
        artifact: its folder.
        score: on the validation images.
        float_layers: how many layers were left in float.
        sound: whether the file really holds INT8.
    """

    artifact: Path
    score: float
    float_layers: int = 0
    sound: bool = True

    def passes(self, floor: float) -> bool:
        """Whether it is INT8 and scores at least ``floor``."""
        return self.sound and self.score >= floor


def repair(
    steps: Mapping[Step, Callable[[], Form]], *, fp32: float, limit: float, metric: str
) -> tuple[Form, RepairRecord]:
    """Take the steps in their order until a form's score is within ``limit`` of FP32's; otherwise keep the best.

    Args:
        steps: ``plain`` first, which must be possible; others may raise :class:`ImpossibleError`.
        fp32: score of the FP32 form on the same images.
        limit: largest drop that passes.
        metric: name of the score.
    """
    forms: dict[Step, Form] = {}
    tries = []
    for step, make in steps.items():
        started = time.perf_counter()
        try:
            forms[step] = form = make()
        except ImpossibleError as error:
            tries.append(QuantizationTry(step=step, seconds=_since(started), reason=str(error)))
            continue
        tries.append(
            QuantizationTry(
                step=step, score=form.score, drop=fp32 - form.score, float_layers=form.float_layers,
                seconds=_since(started),
            )
        )  # fmt: skip
        if form.passes(fp32 - limit):
            break
    kept = max(forms, key=lambda step: (forms[step].sound, forms[step].score))
    passed = forms[kept].passes(fp32 - limit)
    record = RepairRecord(metric=metric, fp32=fp32, limit=limit, tries=tuple(tries), kept=kept, passed=passed)
    return forms[kept], record


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 2)
