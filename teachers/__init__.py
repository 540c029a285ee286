"""Large models: one architecture, one file. They know nothing of training.

Every student's architecture is a teacher as well: a wide ``small_cnn`` knew most of what was tried on simulated images at
equal time on a CPU, and a student of one's own kind is taught by self-distillation (born-again networks, Furlanello et al.
2018, arXiv 1805.04770).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from students import STUDENTS
from students.options import Factory, build, unknown
from teachers.efficientnet_fpn_cbam import EfficientNetFpnCbam
from teachers.timm_classifier import TimmClassifier

__all__ = ["TEACHERS", "build_teacher", "timm_factory"]

TIMM = "timm:"
TEACHERS: dict[str, Factory] = {"efficientnet_fpn_cbam": EfficientNetFpnCbam, **STUDENTS}


def build_teacher(name: str, *, num_logits: int = 1, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a teacher: normalized float ``[N, 3, H, W]`` → ``students.output.ModelOutput``.

    Args:
        name: a key of :data:`TEACHERS`, or ``timm:<name>`` for any classifier of timm.
        num_logits: 1 for the binary task (logits ``[N]``), K for K classes (``[N, K]``).
        options: keyword arguments of the architecture.

    Raises:
        students.OptionError: an unknown name, a wrong option or weights that cannot be loaded, in one line.

    """
    table, timm = dict(TEACHERS), timm_factory(name)
    if timm is not None:
        table[name] = timm
    elif name not in table:
        raise unknown(kind="teacher", given=name, choices=[*sorted(table), f"{TIMM}<name>"])
    return build(kind="teacher", name=name, table=table, num_logits=num_logits, options=options)


def timm_factory(name: str) -> Factory | None:
    """What builds ``timm:<name>``; None for any other name."""
    return partial(TimmClassifier, name.removeprefix(TIMM)) if name.startswith(TIMM) else None
