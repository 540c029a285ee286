"""``edgeproof export MODULE``: somebody else's network as an FP32 artifact."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from distill.preprocess import PreprocessSpec
    from distill.task import Task


def export_module(
    module: str,
    *,
    size: int,
    out: Path,
    weights: Path | None,
    labels: str | None,
    mean: str | None,
    std: str | None,
    name: str | None,
) -> None:
    """Write the artifact, and say what was assumed of its input and weights; without the form that OpenVINO refuses.

    Args:
        module: ``timm:NAME``, ``torchvision:NAME`` or ``package.module:factory``.
        size: side of its input in pixels.
        out: the artifact's folder.
        weights: a ``.safetensors`` file with all of its tensors.
        labels: names of K classes, separated by commas; None for one logit.
        mean: of the normalization, one number or three separated by commas; None for ImageNet's.
        std: the same.
        name: what the manifest calls it; None for its own.

    Raises:
        EdgeproofError: a wrong option, or a network that cannot be built, filled or exported.
    """
    spec, task = _spec(size=size, mean=mean, std=std), _task(labels)
    from deploy.interface import export
    from deploy.modules import is_untrained, load_module
    from distill.files import sha256

    network = load_module(module, size=size, num_logits=task.num_logits, weights=weights)
    called = name or module.partition(":")[2]
    parent = sha256(weights) if weights else None
    refused = ""
    try:
        export(network, spec, out=out, task=task, name=called, parent=parent)
    except EdgeproofError as error:
        if error.runtime != "openvino":
            raise
        refused = str(error)
        export(network, spec, out={"onnxruntime": out}, task=task, name=called, parent=parent)
    shown = {"mean": spec.mean, "std": spec.std}
    numbers = ", ".join(f"{key} {' '.join(f'{one:g}' for one in value)}" for key, value in shown.items())
    typer.echo(
        f"{out}: {called}, {task.num_logits} logit{'s' * (task.num_logits > 1)}, {size}x{size} pixels, {numbers}"
    )
    if refused:
        typer.echo(f"edgeproof: warning: without OpenVINO's form: {refused}", err=True)
    if weights is None and is_untrained(module):
        typer.echo(
            "edgeproof: warning: no --weights: the network is untrained, its answers mean nothing", err=True
        )


def _spec(*, size: int, mean: str | None, std: str | None) -> "PreprocessSpec":
    from pydantic import ValidationError

    from distill.preprocess import PreprocessSpec

    given = {"size": size, "mean": mean, "std": std}
    values = {key: _numbers(key, value) if isinstance(value, str) else value for key, value in given.items()}
    try:
        return PreprocessSpec.model_validate(
            {key: value for key, value in values.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])
        raise EdgeproofError(f"--{option}: found {given[option]}, {first['msg']}") from None


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """One number for all three colours, or one each."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in (1, 3):
        raise EdgeproofError(f"--{option}: found {text}, expected one number, or three separated by commas")
    return found * (3 // len(found))


def _task(labels: str | None) -> "Task":
    from pydantic import ValidationError

    from distill.task import find_task
    from distill.task_settings import TaskSettings

    if labels is None:
        return find_task(TaskSettings())
    names = tuple(label.strip() for label in labels.split(","))
    try:
        return find_task(TaskSettings(kind="multiclass", labels=names))
    except ValidationError as error:
        raise EdgeproofError(f"--labels: found {labels}, {error.errors()[0]['msg']}") from None
