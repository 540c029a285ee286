"""Teacher outputs, computed once and kept on disk: no teacher runs while students train.

The file is keyed by teacher, data, transform and views; a file with another key is never used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from distill.errors import EdgeproofError
from distill.files import write_tensors


@dataclass(frozen=True)
class TeacherOutputs:
    """What the teacher said of every training image in every view.

    Attributes:
        logits: float32 ``[N, V]`` or ``[N, V, K]``.
        features: name → float16 ``[N, V, C, H, W]``.
    """

    logits: Tensor
    features: dict[str, Tensor]


def save_outputs(outputs: TeacherOutputs, path: Path, *, key: str) -> None:
    """Write atomically."""
    tensors = {
        "logits": outputs.logits,
        **{f"feature.{name}": value for name, value in outputs.features.items()},
    }
    write_tensors(
        path, {name: tensor.contiguous() for name, tensor in tensors.items()}, metadata={"key": key}
    )


def load_outputs(path: Path, *, key: str) -> TeacherOutputs:
    """Read what :func:`save_outputs` wrote.

    Raises:
        EdgeproofError: a damaged file, or the outputs belong to another teacher, data set or transform.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = (file.metadata() or {}).get("key")
            tensors = {name: file.get_tensor(name) for name in file.keys()} if found == key else {}
    except (SafetensorError, FileNotFoundError) as error:
        raise EdgeproofError(
            f"{path}: not readable teacher outputs ({error}); delete the file to compute them anew"
        ) from None
    if found != key:
        raise EdgeproofError(
            f"{path}: teacher outputs have key {found}, expected {key}; delete the file to compute them anew"
        )
    features = {name.removeprefix("feature."): value for name, value in tensors.items() if name != "logits"}
    return TeacherOutputs(logits=tensors["logits"], features=features)


def stack_views(views: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> TeacherOutputs:
    """Join the passes over single views."""
    names = views[0][1].keys()
    return TeacherOutputs(
        logits=torch.stack([logits for logits, _ in views], dim=1),
        features={name: torch.stack([features[name] for _, features in views], dim=1) for name in names},
    )
