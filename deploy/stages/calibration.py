"""The images that a quantizer calibrates with: as many of each class, and within a class of each generator."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

import numpy as np

from distill.data.samples import Sample
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


def stratified(samples: Sequence[Sample], *, wanted: int, seed: int) -> list[Sample]:
    """The classes in turn, and each class's generators in turn, drawn at random; where one has no more, the others go on."""
    random = np.random.default_rng(seed)
    classes: dict[int, dict[str, list[Sample]]] = {}
    for sample in samples:
        classes.setdefault(sample.label, {}).setdefault(sample.generator, []).append(sample)
    streams = []
    for label in sorted(classes):
        kinds = [classes[label][generator] for generator in sorted(classes[label])]
        streams.append(_in_turn([[kind[i] for i in random.permutation(len(kind))] for kind in kinds]))
    return list(islice(_in_turn([list(stream) for stream in streams]), wanted))


def _in_turn(streams: Sequence[Sequence[Sample]]) -> Iterator[Sample]:
    for turn in zip_longest(*streams):
        yield from (sample for sample in turn if sample is not None)
