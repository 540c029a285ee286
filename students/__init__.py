"""Small models: one architecture, one file. They know nothing of training."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from students.embed import Embed, spectrum
from students.mobilenet_v2 import MobileNetV2
from students.options import Factory, OptionError, build
from students.output import ModelOutput
from students.rep_cnn import RepCNN
from students.resnet18 import ResNet18
from students.small_cnn import SmallCNN

__all__ = ["FITTED", "STUDENTS", "ModelOutput", "OptionError", "build_student"]

FITTED: dict[str, Factory] = {"embed": Embed, "spectrum": spectrum}  # without gradients
STUDENTS: dict[str, Factory] = {
    "small_cnn": SmallCNN,
    "rep_cnn": RepCNN,
    "mobilenet_v2": MobileNetV2,
    "resnet18": ResNet18,
    **FITTED,
}


def build_student(name: str, *, num_logits: int = 1, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a student: normalized float ``[N, 3, H, W]`` → :class:`ModelOutput`.

    Args:
        name: a key of :data:`STUDENTS`.
        num_logits: 1 for the binary task (logits ``[N]``), K for K classes (``[N, K]``).
        options: keyword arguments of the architecture.

    Raises:
        OptionError: an unknown name, a wrong option or weights that cannot be loaded, in one line.

    """
    return build(kind="student", name=name, table=STUDENTS, num_logits=num_logits, options=options)
