"""What an artifact is compared with: another artifact, or the checkpoint that it was made from.

A checkpoint alone needs torch, which is imported when it is asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deploy.artifact import MANIFEST_NAME, Manifest
from deploy.limits import Probabilities
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import Families, MultiClass, Task, find_task, task_of_labels
from distill.task_settings import TaskSettings

Judge = Callable[[Pixels], Probabilities]
_BATCH = 32
# options that read or download what the checkpoint replaces
_UNLOADED = {"pretrained": False, "weights": None}


@dataclass(frozen=True)
class Reference:
    """The other form of a model.

    Attributes:
        name: in words.
        judge: pixels uint8 ``[N, S, S, 3]`` → probabilities ``[N]`` or ``[N, K]``.
        threshold: of its verdicts.
        precision: of an artifact; ``fp32`` for a checkpoint.
        folder: of an artifact.
        digest: of a checkpoint's weights.
    """

    name: str
    judge: Judge
    threshold: float | None
    precision: str
    folder: Path | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A network with its weights (an ``nn.Module``), its task and input, and the digest of its file.

    ``data`` is what it learned from, as an artifact's manifest says it; empty where nobody wrote it down.
    """

    network: Any
    task: Task
    spec: PreprocessSpec
    digest: str
    data: str = ""


def open_reference(path: Path, *, manifest: Manifest, threads: int) -> Reference:
    """Open what an artifact with ``manifest`` is compared with.

    Raises:
        EdgeproofError: neither an artifact nor a checkpoint, or one of another model.
    """
    if (path / MANIFEST_NAME).is_file():
        return _artifact(path, manifest, threads)
    if path.suffix == ".safetensors":
        return _checkpoint(path, manifest)
    raise EdgeproofError(
        f"--against {path}: expected an artifact's folder, with {MANIFEST_NAME}, or a .safetensors checkpoint"
    )


def _artifact(folder: Path, manifest: Manifest, threads: int) -> Reference:
    detector = Detector.load(folder, threads=threads)
    other = detector.manifest
    for what in ("labels", "preprocess"):
        if getattr(other, what) != getattr(manifest, what):
            raise EdgeproofError(
                f"--against {folder}: {what} are {getattr(other, what)}, expected {getattr(manifest, what)}"
            )
    return Reference(
        name=f"artifact {folder.name} ({other.precision}, {detector.runtime})",
        judge=lambda pixels: detector.probabilities(detector.run(pixels)),
        threshold=other.threshold, precision=other.precision, folder=folder,
    )  # fmt: skip


def _checkpoint(path: Path, manifest: Manifest) -> Reference:
    found = read_checkpoint(path, manifest=manifest)
    return Reference(
        name=f"checkpoint {path.name} (torch)", judge=_torch_judge(found, manifest),
        threshold=manifest.threshold, precision="fp32", digest=found.digest,
    )  # fmt: skip


def read_checkpoint(
    path: Path, *, manifest: Manifest | None = None, layers: Sequence[str] = ()
) -> Checkpoint:
    """The network of a ``.safetensors`` file and its sidecar. Needs torch.

    Args:
        path: the file.
        manifest: of the artifact that was made from it, whose task it must have; None takes the sidecar's.
        layers: submodules whose outputs become features, where the network has none of its own.

    Raises:
        EdgeproofError: a damaged file, a sidecar that does not describe a network, a network of another task, or no such
            layer.
    """
    from distill.training.checkpoint import load_weights, read_sidecar
    from distill.wrapped import wrap
    from students.options import OptionError

    about = read_sidecar(path)
    try:
        task = _task(about["task"], manifest, path=path)
        spec = PreprocessSpec.model_validate(about["preprocess"])
        network = _network(about["architecture"], about["options"], num_logits=task.num_logits, path=path)
    except (KeyError, ValueError) as error:
        raise EdgeproofError(
            f"{path.with_suffix('.json')}: not the sidecar of a network ({error}), expected architecture, options, task "
            "and preprocess"
        ) from None
    own = hasattr(network, "feature_channels")
    try:  # wrapped as it was when it was saved
        network = wrap(network, layers=() if own else layers, image_size=spec.size)
    except OptionError as error:
        raise EdgeproofError(f"{path}: {error}") from None
    load_weights(network, path)
    return Checkpoint(network.eval(), task, spec, digest=about["sha256"], data=about.get("data", ""))


def _task(described: Any, manifest: Manifest | None, *, path: Path) -> Task:
    """Of a sidecar; a network of generator families has more logits than its artifact."""
    if manifest is None:
        return find_task(TaskSettings.model_validate(described))
    if described == manifest.task == "binary":
        return task_of_labels(manifest.task, manifest.labels)
    labels = tuple(described["labels"]) if isinstance(described, dict) else ()
    if labels and described["kind"] == "families" and manifest.task == "binary":
        return Families(families=labels[1:])
    if labels == manifest.labels:
        return MultiClass(labels)
    raise EdgeproofError(f"{path}: the checkpoint's task is {described}, the artifact's {manifest.task}")


def _network(name: str, options: dict[str, Any], *, num_logits: int, path: Path) -> Any:
    from distill.networks import find_network
    from students.options import OptionError, build

    try:
        table = {name: find_network(name)}
        known = {name: value for name, value in _UNLOADED.items() if name in options}
        return build(
            kind="network", name=name, table=table, num_logits=num_logits, options={**options, **known}
        )
    except OptionError as error:
        raise EdgeproofError(f"{path}: {name} cannot be built ({error})") from None


def _torch_judge(checkpoint: Checkpoint, manifest: Manifest) -> Judge:
    import torch

    from distill.wrapped import deployed_form

    task, spec = checkpoint.task, checkpoint.spec
    model = deployed_form(checkpoint.network).eval()

    def judge(pixels: Pixels) -> Probabilities:
        found = []
        for start in range(0, len(pixels), _BATCH):
            planes = torch.from_numpy(spec.normalize(pixels[start : start + _BATCH])).permute(0, 3, 1, 2)
            with torch.no_grad():
                found.append(model(planes.contiguous()).logits.double().numpy())
        return task.probabilities(np.concatenate(found), calibration=manifest.calibration)

    return judge
