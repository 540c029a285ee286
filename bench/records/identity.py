"""Which model or artifact of the roster a part of a record is about. Torch-free."""

from typing import Literal

from distill.forms import Precision
from distill.record import Frozen
from distill.roster import Arm, Artifact, Model, Role

Runtime = Literal["torch", "onnxruntime", "openvino"]


class Identity(Frozen):
    """A model in one runtime and precision.

    Attributes:
        key: the roster's key, unique in a run.
        name: what the recipe calls the network; its arms and all its forms share it.
        role: ``teacher`` or ``student``.
        arm: of a student: ``distilled``, or ``alone`` without a teacher.
        runtime: ``torch`` for the network itself, otherwise that of the artifact.
        precision: ``fp32``, ``bf16`` or ``int8``.
        quantizer: name of the recipe's section that made an INT8 artifact.
        parent: key of what it was made from: the network of an FP32 artifact, the FP32 artifact of an INT8 one.
    """

    key: str
    name: str
    role: Role
    arm: Arm | None
    runtime: Runtime
    precision: Precision
    quantizer: str | None
    parent: str | None


def identity_of(item: Model | Artifact) -> Identity:
    """The identity of a network or of an artifact of the roster."""
    artifact = item if isinstance(item, Artifact) else None
    model = item.model if isinstance(item, Artifact) else item
    return Identity(
        key=item.key,
        name=model.name,
        role=model.role,
        arm=model.arm,
        runtime=artifact.runtime if artifact else "torch",
        precision=artifact.precision if artifact else "fp32",
        quantizer=artifact.quantizer if artifact else None,
        parent=(artifact.parent or artifact.model).key if artifact else None,
    )
