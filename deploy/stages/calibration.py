"""The images that a quantizer calibrates with."""

from itertools import zip_longest

import numpy as np

from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Run
from distill.preprocess import Pixels, PreprocessSpec


def calibration_images(run: Run, *, spec: PreprocessSpec, wanted: int) -> list[Pixels]:
    """Training images only, the classes in turn, ``uint8 [S, S, 3]`` each; deterministic."""
    from distill.data.pixels import decode
    from distill.task import find_task

    dataset = load_samples(run.folder)
    random = np.random.default_rng(run.recipe.seed)
    classes = len(find_task(run.recipe.task).labels)
    chosen = []
    for label in range(classes):
        samples = [sample for sample in dataset.split("train") if sample.label == label]
        picks = random.permutation(len(samples))[: (wanted + classes - 1 - label) // classes]
        chosen.append([samples[index] for index in picks])
    mixed = [sample for turn in zip_longest(*chosen) for sample in turn if sample is not None]
    return [decode(dataset.root, sample, spec=spec) for sample in mixed]
