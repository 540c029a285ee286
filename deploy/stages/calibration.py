"""The images that a quantizer calibrates with: as many of each class, and within a class of each generator."""

from collections import Counter
from dataclasses import dataclass

from distill.data.stratify import stratified
from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Run
from distill.preprocess import Pixels, PreprocessSpec


@dataclass(frozen=True)
class CalibrationSet:
    """Images ``uint8 [S, S, 3]`` whose first n are mixed as all of them are, and how many there are of each kind."""

    images: list[Pixels]
    strata: dict[str, int]


def calibration_images(run: Run, *, spec: PreprocessSpec, wanted: int) -> CalibrationSet:
    """Training images only, ``wanted`` of them or as many as there are; deterministic."""
    from distill.data.pixels import decode
    from distill.task import find_task

    dataset, labels = load_samples(run.folder), find_task(run.recipe.task).labels
    labelled = [sample for sample in dataset.split("train") if 0 <= sample.label < len(labels)]
    chosen = stratified(labelled, wanted=wanted, seed=run.recipe.seed)
    strata = Counter(sample.generator or labels[sample.label] for sample in chosen)
    return CalibrationSet(
        [decode(dataset.root, sample, spec=spec) for sample in chosen], dict(sorted(strata.items()))
    )
