"""Attribution of a finished run of generator families: its networks' logits, and fingerprints of its images. Torch-free."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.attribution.fingerprint import correlations, learn
from bench.attribution.record import AttributionRecord
from bench.attribution.score import KEEPS, Known, Scored, Unlearned, attributed, numbers_of
from distill.data.pixels import PixelSource, open_pixels
from distill.data.samples import GENERATED, Dataset, Sample
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.preprocess import PreprocessSpec
from distill.recipe import DISTILLED, Recipe
from distill.roster import Model, Roster
from distill.task import MultiClass
from distill.task_settings import REAL_LABEL

FINGERPRINT = "nearest fingerprint"
_STRANGE = ("test", "heldout")  # where images of unlearned generators are looked for
Progress = Callable[[int, int], None]


def attribution_of(
    run: Path, recipe: Recipe, roster: Roster, *, progress: Progress, fingerprints: bool = True
) -> AttributionRecord:
    """Judge teacher, every student in every arm, and the nearest fingerprint on the same images.

    Args:
        run: the run folder, with its students trained.
        recipe: of the task ``families``.
        roster: what the recipe makes.
        progress: told of the fingerprints, image by image.
        fingerprints: whether the baseline takes part; it reads the training images.

    Raises:
        EdgeproofError: a recipe of another task, or a run that has not come that far.
    """
    if recipe.task.kind != "families":
        raise EdgeproofError(
            f"attribute: task is {recipe.task.kind}, expected families (docs/attribution.md)"
        )
    images = _Images(load_samples(run), recipe.task.labels)
    test, unlearned = images.known("test"), images.unlearned
    models = [
        attributed(name, scores, test=test, unlearned=unlearned)
        for name, scores in _scores(run, roster, images)
    ]
    if fingerprints:
        scores = _by_fingerprint(images, recipe, progress=progress)
        models.append(attributed(FINGERPRINT, scores, test=test, unlearned=unlearned))
    return AttributionRecord(
        recipe=recipe.name, simulated=not recipe.data.path, classes=images.classes,
        rows=(*images.classes, *images.others), images=len(test.numbers), groups=len(set(test.groups)),
        unlearned=len(unlearned.numbers), keeps=KEEPS, models=tuple(models),
    )  # fmt: skip


@dataclass(frozen=True)
class _Images:
    """A run's images by who made them: one of the learned classes, or a generator that nobody learned."""

    dataset: Dataset
    classes: tuple[str, ...]

    def rows(self, split: str, *, known: bool) -> list[int]:
        """Numbers, within a split, of the images of learned classes, or of the others."""
        samples = self.dataset.split(split)
        return [row for row, sample in enumerate(samples) if (_name(sample) in self.classes) == known]

    def samples(self, split: str, *, known: bool) -> list[Sample]:
        """The same images."""
        samples = self.dataset.split(split)
        return [samples[row] for row in self.rows(split, known=known)]

    def known(self, split: str) -> Known:
        """Classes and groups of a split's images of learned classes."""
        samples = self.samples(split, known=True)
        return Known(numbers_of([_name(sample) for sample in samples], self.classes), _groups(samples))

    @property
    def strangers(self) -> list[Sample]:
        """All test images of generators that nobody learned."""
        return [sample for split in _STRANGE for sample in self.samples(split, known=False)]

    @property
    def others(self) -> tuple[str, ...]:
        """The names of those generators."""
        return tuple(sorted({sample.generator for sample in self.strangers}))

    @property
    def unlearned(self) -> Unlearned:
        """Generators and groups of those images."""
        numbers = numbers_of([sample.generator for sample in self.strangers], self.others)
        return Unlearned(numbers, len(self.others), _groups(self.strangers))


def _name(sample: Sample) -> str:
    return sample.generator if sample.label == GENERATED else REAL_LABEL


def _groups(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(sample.group or sample.path for sample in samples)


def temperature_of(run: Path, model: Model, classes: tuple[str, ...]) -> Calibration:
    """What turns a network's K logits into probabilities of the classes, fitted on the run's validation images."""
    images = _Images(load_samples(run), classes)
    logits = _logits(run, model)["valid"][images.rows("valid", known=True)]
    return MultiClass(classes).calibrate(images.known("valid").numbers, logits)


def _scores(run: Path, roster: Roster, images: _Images) -> Iterator[tuple[str, Scored]]:
    """Of every network, its logits as probabilities of K classes, with a temperature of their own."""
    task, none = MultiClass(images.classes), np.empty((0, len(images.classes)))
    for model in roster.networks:
        logits, calibration = _logits(run, model), temperature_of(run, model, images.classes)
        known = [logits[split][images.rows(split, known=True)] for split in ("valid", "test")]
        strange = [logits.get(split, none)[images.rows(split, known=False)] for split in _STRANGE]
        found = (
            task.probabilities(part, calibration=calibration) for part in (*known, np.concatenate(strange))
        )
        yield _title(model), Scored(*found)


def _logits(run: Path, model: Model) -> dict[str, npt.NDArray[Any]]:
    if not (run / model.logits).is_file():
        raise EdgeproofError(f"{run / model.logits}: no such file, expected a run with trained students")
    return load_arrays(run / model.logits)


def _title(model: Model) -> str:
    return f"{model.name} distilled" if model.arm == DISTILLED else f"{model.name} {model.arm or ''}".strip()


def _by_fingerprint(images: _Images, recipe: Recipe, *, progress: Progress) -> Scored:
    def pixels(samples: Sequence[Sample]) -> PixelSource:
        return open_pixels(images.dataset.root, samples, spec=_native(recipe.preprocess), memory_mb=0)

    train = pixels(images.samples("train", known=True))
    known = learn(train, images.known("train").numbers, classes=len(images.classes), progress=progress)
    parts = (images.samples("valid", known=True), images.samples("test", known=True), images.strangers)
    return Scored(*(correlations(pixels(part), known, progress=progress) for part in parts))


def _native(spec: PreprocessSpec) -> PreprocessSpec:
    """The middle at its own resolution: resized, a residual is gone."""
    return spec.model_copy(update={"policy": "center_crop"})
