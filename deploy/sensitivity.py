"""Which layer of a network suffers most from INT8: each is quantized alone, and the worst is left out of all.

From Python: :func:`measure_sensitivity`. Torch-free.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from deploy.artifact import MODEL_FILES, read_manifest
from deploy.interface import quantize
from deploy.limits import drift_of
from deploy.photos import Photos, Progress, list_photos, read_photos
from deploy.quantization_record import FloatLayer
from deploy.quantizers import QUANTIZERS, Quantizer, find_quantizer
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.record import Frozen, Record
from distill.task import Task, task_of_labels

CALIBRATION, JUDGED = 64, 256  # images; one quantization a layer, so few calibrate


class FormError(Frozen):
    """How far an INT8 form is from FP32 on the images that judge.

    Attributes:
        mean: absolute difference of the logits, over all images.
        drift: the largest change of the probability of one image.
        score: of the task (AUC, accuracy); None without labels.
    """

    mean: Annotated[float, Field(ge=0)]
    drift: Annotated[float, Field(ge=0)]
    score: float | None


class LayerError(Frozen):
    """A layer, and the form in which it alone is INT8."""

    layer: FloatLayer
    error: FormError


class Sensitivity(Record):
    """``sensitivity.json``.

    Attributes:
        artifact: the name that the FP32 artifact's manifest gives.
        quantizer: the tool.
        calibration: which images it saw, in words.
        judged: which images the forms were judged on.
        metric: name of the score.
        fp32: its score; None without labels.
        layers: in the order in which they compute.
        whole: every layer in INT8.
        rest: every layer in float; what is left is what the tool quantizes between layers, and part of every figure. None for a
            tool that then quantizes nothing.
        worst: position of the layer with the largest mean error.
        without_worst: every layer but that one in INT8; None where that is the only one.
    """

    artifact: str
    quantizer: str
    calibration: str
    judged: str
    metric: str
    fp32: float | None
    layers: Annotated[tuple[LayerError, ...], Field(min_length=1)]
    whole: FormError
    rest: FormError | None
    worst: Annotated[int, Field(ge=0)]
    without_worst: FormError | None


@dataclass(frozen=True)
class _Bench:
    """Makes INT8 forms with some layers in float, and measures them."""

    artifact: Path
    quantizer: Quantizer
    task: Task
    seen: Photos
    shown: Photos
    folder: Path

    def logits(self, folder: Path) -> npt.NDArray[np.float32]:
        return Detector.load(folder, runtime=self.quantizer.runtime, threads=1).run(self.shown.pixels)

    def error(self, fp32: npt.NDArray[np.float32], *, float_layers: Sequence[FloatLayer]) -> FormError:
        quantize(
            self.artifact, [*self.seen.pixels], out=self.folder, tool=self.quantizer.name,
            samples=len(self.seen), float_layers=float_layers, settings=_settings(self.quantizer),
        )  # fmt: skip
        found = self.logits(self.folder)
        return FormError(
            mean=float(np.abs(found - fp32).mean()),
            drift=drift_of(self.task.probabilities(found), self.task.probabilities(fp32)),
            score=self.score(found),
        )

    def rest(self, fp32: npt.NDArray[np.float32], layers: Sequence[FloatLayer]) -> FormError | None:
        try:
            return self.error(fp32, float_layers=layers)
        except EdgeproofError:  # nothing is left to quantize
            return None

    def score(self, logits: npt.NDArray[np.float32]) -> float | None:
        labels = self.shown.labels
        return None if labels is None else self.task.score_of(labels, self.task.probabilities(logits))


def measure_sensitivity(
    artifact: Path,
    *,
    calibration: Path,
    validation: Path | None = None,
    quantizer: str | None = None,
    samples: int = CALIBRATION,
    progress: Progress | None = None,
) -> Sensitivity:
    """Quantize each layer of an FP32 artifact alone, then all of them, then all but the worst.

    Args:
        artifact: its folder.
        calibration: training images: a data set of any layout, or a folder of photos.
        validation: images to judge on; by default those of ``calibration`` that no quantizer sees.
        quantizer: a tool that can leave layers in float; by default the first that fits the artifact.
        samples: images to calibrate with, at most.
        progress: is told of every step.

    Raises:
        EdgeproofError: bad input, or a quantizer that cannot leave layers in float.
    """
    manifest, tell = read_manifest(artifact), progress or (lambda done, total: None)
    if manifest.precision != "fp32":
        raise EdgeproofError(f"{artifact}: precision is {manifest.precision}, expected an fp32 artifact")
    tool = _tool(quantizer, manifest.runtimes)
    layers = _layers(tool, artifact)
    task, spec = task_of_labels(manifest.task, manifest.labels), manifest.preprocess
    dataset = list_photos(calibration, task=task)
    seen = read_photos(dataset, spec=spec, wanted=samples, split="train")
    other = list_photos(validation, task=task) if validation else dataset
    shown = read_photos(other, spec=spec, wanted=JUDGED, split="valid", without=set(seen.paths))
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        bench = _Bench(artifact, tool, task, seen, shown, folder=Path(temporary, "form"))
        fp32, total = bench.logits(artifact), len(layers) + 3
        whole = bench.error(fp32, float_layers=())
        alone = []
        for number, layer in enumerate(layers, start=1):
            tell(number, total)
            others = [other for other in layers if other != layer]
            alone.append(LayerError(layer=layer, error=bench.error(fp32, float_layers=others)))
        worst = max(alone, key=lambda found: found.error.mean).layer
        without = bench.error(fp32, float_layers=[worst]) if len(layers) > 1 else None
        tell(total, total)
        return Sensitivity(
            artifact=manifest.name, quantizer=tool.name, calibration=seen.origin, judged=shown.origin,
            metric=task.metric, fp32=bench.score(fp32), layers=tuple(alone), whole=whole,
            rest=bench.rest(fp32, layers),
            worst=worst.position, without_worst=without,
        )  # fmt: skip


def _tool(name: str | None, runtimes: Sequence[str]) -> Quantizer:
    if name is not None:
        return find_quantizer(name)
    fitting = [tool for tool in QUANTIZERS.values() if tool.runtime in runtimes and tool.find_layers]
    if not fitting:
        raise EdgeproofError(
            f"no quantizer for {', '.join(runtimes)} can leave layers in float, expected one that has find_layers"
        )
    return fitting[0]


def _settings(tool: Quantizer) -> dict[str, str]:
    """A tool that would choose among forms by their speed makes the same one each time."""
    return {"form": "plain"} if "form" in tool.settings_type.model_fields else {}


def _layers(tool: Quantizer, artifact: Path) -> tuple[FloatLayer, ...]:
    source = artifact / MODEL_FILES[tool.runtime][0]
    if not source.is_file():
        raise EdgeproofError(f"{source}: no such file, {tool.name} makes models for {tool.runtime}")
    if tool.find_layers is None:
        raise EdgeproofError(f"quantizer {tool.name}: cannot leave layers in float")
    found = tool.find_layers(source)
    if not found:
        raise EdgeproofError(f"{source}: no convolution or matrix product, expected at least one")
    return found
