"""The work of a quantization stage: one INT8 artifact; its threshold is fitted again on validation images."""

from itertools import zip_longest

import numpy as np

from deploy.stages.export import keep_predictions
from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels, PreprocessSpec
from distill.roster import Artifact

_LATENCY_ONLY_SAMPLES = 8  # enough for ranges that nobody will judge images with


def quantize_model(run: Run, progress: Progress, *, artifact: Artifact) -> None:
    """Make ``artifact`` from its parent."""
    from deploy.interface import quantize, set_threshold
    from distill.stages.training import labels_of
    from distill.task import find_task

    if artifact.parent is None or artifact.quantizer is None:
        raise ValueError(f"{artifact.key} has no parent or quantizer, expected an INT8 artifact")
    section, folder = run.recipe.quantization[artifact.quantizer], run.folder / artifact.folder
    spec = artifact.model.preprocess.model_copy(update={"size": artifact.size})
    wanted = section.samples if artifact.judged else _LATENCY_ONLY_SAMPLES
    quantize(
        run.folder / artifact.parent.folder,
        calibration_images(run, spec=spec, wanted=wanted),
        out=folder,
        tool=section.tool or artifact.quantizer,
        settings=section.settings,
        samples=wanted,
        name=artifact.quantizer,
    )
    if artifact.judged:
        valid = keep_predictions(run, artifact)["valid"]
        set_threshold(folder, find_task(run.recipe.task).threshold(labels_of(run, "valid"), valid))


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
