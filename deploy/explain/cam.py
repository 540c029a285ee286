"""What a network itself says of an image: class activation maps, spatial attention, and the localiser's box. Needs torch.

The maps of the Grad-CAM family (Selvaraju et al. 2017, arXiv 1610.02391, and its successors) come from the package
``grad-cam``. Its hooks expect a module that gives a tensor; our networks hand out their feature maps as a part of what they
return, so :class:`_Features` stands in the place of the hooks. They show what speaks *for* generated, or for the likeliest
of K classes, and are scaled to [0, 1].
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from deploy.cautions import caution_of
from deploy.explain.hide import Map
from deploy.explain.subject import Box, MapOf, Subject
from deploy.reference import Checkpoint, read_checkpoint
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.evaluation.choice import Choice
from distill.optional import require
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import Task
from distill.wrapped import deployed_form
from students.output import ModelOutput

CAMS = {
    "gradcam": "GradCAM", "gradcam++": "GradCAMPlusPlus", "hirescam": "HiResCAM", "xgradcam": "XGradCAM",
    "layercam": "LayerCAM", "eigengradcam": "EigenGradCAM",
}  # fmt: skip
ATTENTION = "attention"
_THRESHOLD = 0.5  # where none was chosen
_CELLS = 8  # along a side of a feature map whose cells still tell a place


def checkpoint_subject(path: Path, *, name: str | None = None, layers: Sequence[str] = ()) -> Subject:
    """The network of a ``.safetensors`` file; with the ``choice.json`` beside it, calibrated as it was there.

    Args:
        path: the file, with its sidecar.
        name: what tables call it (default: the file's folder, or its own stem).
        layers: feature maps that class activation maps are made of (default: all levels of a pyramid, else the deepest of
            8x8 cells).

    Raises:
        EdgeproofError: what :func:`deploy.reference.read_checkpoint` raises, or no such feature map.
    """
    found = read_checkpoint(path, layers=layers)
    calibration, threshold, band = Calibration(), _THRESHOLD, None
    if (chosen := path.with_name("choice.json")).is_file():
        choice = Choice.read(chosen)
        if choice.weights == found.digest:
            calibration, band = choice.calibration, choice.band
            threshold = _THRESHOLD if choice.threshold is None else choice.threshold
    network = found.network.requires_grad_(False)  # gradients are wanted of feature maps alone
    usual = path.parent.name if path.stem == "weights" else path.stem
    said = _probe(network, found.spec)
    return Subject(
        name=name or usual, form="torch fp32", spec=found.spec, task=found.task,
        ask=_asker(found, calibration), threshold=threshold if found.task.kind == "binary" else None, band=band,
        own=_own_maps(network, said, found, layers=layers, origin=path),
        box=partial(_box, network, found.spec) if said.boxes is not None else None,
        caution=caution_of(found.data),
    )  # fmt: skip


def _own_maps(
    network: nn.Module, said: ModelOutput, found: Checkpoint, *, layers: Sequence[str], origin: Path
) -> dict[str, MapOf]:
    maps: dict[str, MapOf] = {}
    if chosen := _layers(network, said, layers, origin=origin):
        for method, name in CAMS.items():
            maps[method] = partial(_cam, name, network, found.spec, found.task, chosen)
    if said.attention:
        maps[ATTENTION] = partial(_attention, network, found.spec)
    return maps


def _layers(network: nn.Module, said: ModelOutput, given: Sequence[str], *, origin: Path) -> tuple[str, ...]:
    """All levels of a pyramid, for its answer reads each; of another network the deepest map that is fine enough.

    A cell of the last map of a deep network has seen the whole picture: where it is active says nothing of where what it
    found lies. Measured in docs/explain.md.
    """
    there = tuple(said.features)
    for layer in given:
        if layer not in there:
            raise EdgeproofError(
                f"{origin}: layer {layer!r} is no feature map, choose one of: {', '.join(there) or 'none'}"
            )
    if given or not there:
        return tuple(given)
    if hasattr(network, "pyramid"):
        return there
    fine = tuple(name for name in there if min(said.features[name].shape[2:]) >= _CELLS)
    return (fine or there)[-1:]


def _images(pixels: Pixels, spec: PreprocessSpec) -> Tensor:
    return torch.from_numpy(spec.normalize(pixels)).permute(0, 3, 1, 2).contiguous()


def _probe(network: nn.Module, spec: PreprocessSpec) -> ModelOutput:
    with torch.no_grad():
        said: ModelOutput = network(torch.zeros(1, 3, spec.size, spec.size))
    return said


def _asker(found: Checkpoint, calibration: Calibration) -> Callable[[Pixels], Any]:
    """Calibrated as the artifact's graph does it, so that its task's probabilities follow without more."""
    model = deployed_form(found.network).eval()

    def ask(pixels: Pixels) -> Any:
        with torch.no_grad():
            logits = model(_images(pixels, found.spec)).logits.double().numpy()
        return found.task.answers(logits) / calibration.temperature + calibration.bias

    return ask


class _Features:
    """In the place of the package's hooks: the feature maps that a network gives, and the gradients that reach them."""

    def __init__(self, network: nn.Module, task: Task, layers: tuple[str, ...]) -> None:
        self.network, self.task, self.layers = network, task, layers
        self.activations: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        output: ModelOutput = self.network(images)
        maps = [output.features[layer] for layer in self.layers]
        self.activations = [found.detach() for found in maps]
        self.gradients = [torch.zeros_like(found) for found in self.activations]
        for number, found in enumerate(maps):
            if not found.requires_grad or not output.logits.requires_grad:
                raise EdgeproofError(
                    f"explain: layer {self.layers[number]!r} has no gradient to the answer, expected a network that is "
                    "differentiable throughout; use --method occlusion"
                )
            found.register_hook(partial(self._keep, number))  # type: ignore[no-untyped-call]
        return self.task.deployed(output.logits)

    def _keep(self, number: int, gradient: Tensor) -> None:
        self.gradients[number] = gradient.detach()

    def release(self) -> None:
        """Hold nothing any more; the package asks for it."""
        self.activations, self.gradients = [], []


def _cam(
    name: str, network: nn.Module, spec: PreprocessSpec, task: Task, layers: tuple[str, ...], pixels: Pixels
) -> Map:
    make = getattr(require("pytorch_grad_cam"), name)
    with make(model=network, target_layers=[network] * len(layers)) as cam:
        cam.activations_and_grads.release()
        cam.activations_and_grads = _Features(network, task, layers)
        cam.compute_input_gradient = True  # the weights have none
        heat = cam(input_tensor=_images(pixels[None], spec), targets=[_likeliest])[0]
    found: Map = np.clip(heat, 0.0, 1.0).astype(np.float32)
    return found


def _likeliest(answer: Tensor) -> Tensor:
    """The log-odds of *generated*, or the largest of K logits."""
    return answer if answer.ndim == 0 else answer.max()


def _attention(network: nn.Module, spec: PreprocessSpec, pixels: Pixels) -> Map:
    """The mean of the levels' spatial attention, in [0, 1]: where the network looks, whatever it answers."""
    with torch.no_grad():
        levels = network(_images(pixels[None], spec)).attention.values()
    size = (spec.size, spec.size)
    wide = [functional.interpolate(level, size, mode="bilinear", align_corners=False) for level in levels]
    found: Map = torch.cat(wide).mean((0, 1)).numpy()
    return found


def _box(network: nn.Module, spec: PreprocessSpec, pixels: Pixels) -> Box:
    with torch.no_grad():
        said = network(_images(pixels[None], spec))
    x1, y1, x2, y2 = (float(value) for value in said.boxes[0])
    return Box((x1, y1, x2, y2), float(said.box_logits[0].sigmoid()))
