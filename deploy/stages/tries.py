"""The INT8 forms that may be tried of one artifact of the run, each in a folder of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deploy.artifact import MODEL_FILES, RepairRecord, read_manifest
from deploy.float_layers import Chosen, fewest, rank_layers, still_int8
from deploy.quantization_record import Step
from deploy.quantizers import Quantizer, find_quantizer
from deploy.quantizers.base import Validation
from deploy.repair import Form, ImpossibleError, repair
from deploy.stages.calibration import CalibrationSet, calibration_images
from deploy.stages.export import probabilities_of
from distill.pipeline.runfolder import WEIGHTS, load_arrays
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels
from distill.recipe import QuantizationSettings
from distill.roster import Artifact
from distill.stages.quantization_aware import Lesson
from distill.task import Task, find_task, task_of_labels

if TYPE_CHECKING:
    from torch import nn

    from deploy.int8_check import Int8Evidence

# to rank layers, one quantization each: few images do
_RANKING_IMAGES, _DRIFT_IMAGES = 16, 64
# whose ranges a training watches in every epoch
_TRAINING_IMAGES = 256


@dataclass(frozen=True)
class Tries:
    """What may be tried for one INT8 artifact.

    Attributes:
        run: the run.
        artifact: what is wanted.
        folder: for the forms.
        progress: is told of a training's steps.
        lesson: what the student is trained on, should it come to that.
    """

    run: Run
    artifact: Artifact
    folder: Path
    progress: Progress
    lesson: Lesson | None = None

    def repaired(self) -> tuple[Path, RepairRecord]:
        """Take the recipe's steps; the folder of the form to keep, and what was needed."""
        remedies: dict[Step, Callable[[], Form]] = {"layers": self.layers, "training": self.trained}
        wanted = self.run.recipe.repair.steps
        steps: dict[Step, Callable[[], Form]] = {"plain": self.plain}
        steps |= {step: make for step, make in remedies.items() if step in wanted}
        form, record = repair(
            steps, fp32=self._fp32_score, limit=self.run.recipe.repair.max_drop, metric=self._task.metric
        )
        return form.artifact, record

    def plain(self) -> Form:
        """Post-training quantization as it comes; where its tool timed several forms, the other tries are of the same."""
        return self._form(self._quantize("plain"))

    def layers(self) -> Form:
        """The same with few layers in float: those that the tool's own accuracy control finds, if it has one, the score holds
        and it is still INT8; otherwise the fewest that hold the score, or all that INT8 allows.

        Raises:
            ImpossibleError: the tool cannot, or no layer may be left in float.
        """
        if self._quantizer.find_layers is None:
            raise ImpossibleError(f"{self._quantizer.name} cannot leave layers in float")
        found = self._quantizer.find_layers(self._fp32 / self._file)
        floor = self._fp32_score - self.run.recipe.repair.max_drop
        controlled = self._controlled(found)
        if controlled and controlled.passes(floor):
            return controlled
        allowed = still_int8(rank_layers(found, drift=self._drift), among=found, plain=self._proof("plain"))
        if not allowed:
            raise ImpossibleError(f"none of {len(found)} layers may stay in float in what is still INT8")

        def attempt(chosen: Chosen) -> tuple[Form, bool]:
            form = self._form(self._quantize(f"layers{len(chosen)}", float_layers=chosen), layers=len(chosen))
            return form, form.passes(floor)

        return fewest(allowed, attempt=attempt).tried

    def _controlled(self, found: Chosen) -> Form | None:
        """The form that the tool's own accuracy control asks for; None where it has none, or that would be no INT8."""
        from distill.stages.training import labels_of, pixels_of

        if self._quantizer.control_accuracy is None:
            return None
        pixels = pixels_of(self.run, "valid", spec=self.artifact.model.preprocess)
        labels, task = labels_of(self.run, "valid"), self._deployed_task
        positions = self._quantizer.control_accuracy(
            source=self._fp32 / self._file,
            images=[image[None] for image in self._images],
            settings=self._quantizer.parse(self._section.settings),
            validation=Validation(
                images=[pixels.batch([index]) for index in range(len(pixels))],
                score=lambda logits: task.score_of(labels, task.probabilities(logits)),
                max_drop=self.run.recipe.repair.max_drop,
            ),
        )
        chosen = tuple(found[position] for position in positions)
        if not chosen or len(still_int8(chosen, among=found, plain=self._proof("plain"))) < len(chosen):
            return None
        return self._form(self._quantize("controlled", float_layers=chosen), layers=len(chosen))

    def trained(self) -> Form:
        """Post-training quantization of the student after it was trained for it.

        Raises:
            ImpossibleError: there is no ``lesson``.
        """
        from deploy.interface import export
        from distill.check_fitted import fitted_student
        from distill.stages.quantization_aware import retrain
        from distill.stages.training import data_name

        if self.lesson is None:
            raise ImpossibleError("there is nothing to train it on")
        if fitted_student(self.run.recipe, self.artifact.model):
            raise ImpossibleError("a head is fitted, and has no gradients to be trained by")
        model, fp32 = self.artifact.model, self.folder / "trained-fp32"
        reduce_range = self._quantizer.parse(self._section.settings).effective_reduce_range()
        found = retrain(
            self.run,
            self.progress,
            lesson=self.lesson,
            images=self._images[:_TRAINING_IMAGES],
            reduce_range=reduce_range,
        )
        export(
            found.network, model.preprocess, out={self.artifact.runtime: fp32}, calibration=found.calibration,
            task=self._task, name=model.name, data=data_name(self.run), parent=found.weights,
        )  # fmt: skip
        settings = {**self._quantizer.trained_settings, **self._settings}
        return self._form(self._quantize("trained", source=fp32, settings=settings, network=found.network))

    def _quantize(
        self,
        name: str,
        *,
        source: Path | None = None,
        settings: Mapping[str, object] | None = None,
        float_layers: Chosen = (),
        at_most: int = 0,
        network: "nn.Module | None" = None,
    ) -> Path:
        from deploy.interface import quantize

        images = self._images[: at_most or None]
        return quantize(
            source or self._fp32, images, out=self.folder / name, tool=self._tool,
            settings=settings or self._settings, samples=len(images), name=self.artifact.quantizer,
            float_layers=float_layers, network=network or network_of(self.run, self.artifact), task=self._task,
        )  # fmt: skip

    def _form(self, folder: Path, *, layers: int = 0) -> Form:
        valid = probabilities_of(self.run, folder, artifact=self.artifact, splits=("valid",))["valid"]
        return Form(folder, self._score(valid), float_layers=layers, sound=self._proof(folder.name).passed)

    def _proof(self, name: str) -> "Int8Evidence":
        from deploy.int8_check import inspect_int8

        return inspect_int8(self.folder / name / self._file, fp32_path=self._fp32 / self._file)

    def _drift(self, chosen: Chosen) -> float:
        """Mean distance of some validation logits from FP32's."""
        folder = self._quantize("ranked", float_layers=chosen, at_most=_RANKING_IMAGES)
        return float(np.abs(self._logits(folder) - self._fp32_logits).mean())

    def _logits(self, folder: Path) -> npt.NDArray[np.float32]:
        from deploy.runtime import Detector
        from distill.stages.training import pixels_of

        detector = Detector.load(folder, runtime=self.artifact.runtime, threads=1)
        pixels = pixels_of(self.run, "valid", spec=self.artifact.model.preprocess)
        return detector.run(pixels.batch(range(min(_DRIFT_IMAGES, len(pixels)))))

    def _score(self, probabilities: npt.NDArray[np.float64]) -> float:
        from distill.stages.training import labels_of

        return self._task.score_of(labels_of(self.run, "valid"), probabilities)

    @property
    def _parent(self) -> Artifact:
        if self.artifact.parent is None:
            raise ValueError(f"{self.artifact.key} has no parent, expected an INT8 artifact")
        return self.artifact.parent

    @property
    def _fp32(self) -> Path:
        return self.run.folder / self._parent.folder

    @property
    def _file(self) -> str:
        return MODEL_FILES[self.artifact.runtime][0]

    @property
    def _task(self) -> Task:
        return find_task(self.run.recipe.task)

    @property
    def _deployed_task(self) -> Task:
        """What an artifact answers: of generator families one logit."""
        return task_of_labels(self._task.kind, self._task.labels)

    @property
    def _section(self) -> QuantizationSettings:
        return self.run.recipe.quantization[self.artifact.quantizer or ""]

    @property
    def _settings(self) -> dict[str, Any]:
        plain = self.folder / "plain"
        made = read_manifest(plain).quantizer if plain.is_dir() else None
        return {**self._section.settings, **(made.kept_form if made else {})}

    @property
    def _tool(self) -> str:
        return self._section.tool or self.artifact.quantizer or ""

    @property
    def _quantizer(self) -> Quantizer:
        return find_quantizer(self._tool)

    @cached_property
    def _fp32_score(self) -> float:
        return self._score(load_arrays(self.run.folder / self._parent.predictions)["valid"])

    @cached_property
    def _fp32_logits(self) -> npt.NDArray[np.float32]:
        return self._logits(self._fp32)

    @cached_property
    def calibration(self) -> CalibrationSet:
        """The images that all forms are calibrated with."""
        spec = self.artifact.model.preprocess
        return calibration_images(self.run, spec=spec, wanted=self._section.samples)

    @property
    def _images(self) -> list[Pixels]:
        return self.calibration.images


def network_of(run: Run, artifact: Artifact) -> "nn.Module | None":
    """The network that an artifact's FP32 form was exported from, for a quantizer that works on it; otherwise None."""
    from distill.models import load_model

    section = run.recipe.quantization[artifact.quantizer or ""]
    if not find_quantizer(section.tool or artifact.quantizer or "").needs_network:
        return None
    return load_model(run.recipe, artifact.model, run.folder / artifact.model.folder / WEIGHTS)
