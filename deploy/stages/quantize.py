"""The work of a quantization stage: one INT8 artifact; its threshold is fitted again on validation images."""

import tempfile
from pathlib import Path

import numpy as np

from deploy.artifact import MODEL_FILES, package_versions, read_manifest, write_artifact
from deploy.stages.export import keep_predictions
from distill.pipeline.runfolder import load_dataset
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels, PreprocessSpec
from distill.roster import Artifact

_LATENCY_ONLY_SAMPLES = 8  # enough for ranges that nobody will judge images with


def quantize_model(run: Run, progress: Progress, *, artifact: Artifact) -> None:
    """Make ``artifact`` from its parent."""
    from deploy.quantizers import quantizers_of
    from distill.stages.training import labels_of
    from distill.task import find_task

    if artifact.parent is None or artifact.quantizer is None:
        raise ValueError(f"{artifact.key} has no parent or quantizer, expected an INT8 artifact")
    section = run.recipe.quantization[artifact.quantizer]
    source = run.folder / artifact.parent.folder
    parent, names = read_manifest(source), MODEL_FILES[artifact.runtime]
    with tempfile.TemporaryDirectory(dir=run.folder) as temporary:
        record = quantizers_of(run.recipe)[artifact.quantizer].quantize(
            source=source / names[0],
            output=Path(temporary, names[0]),
            images=calibration_images(
                run,
                preprocess=parent.preprocess,
                wanted=section.samples if artifact.judged else _LATENCY_ONLY_SAMPLES,
            ),
            settings=section.settings,
            name=artifact.quantizer,
        )

        def write(threshold: float) -> None:
            write_artifact(
                run.folder / artifact.folder,
                name=artifact.model.name,
                files={name: Path(temporary, name) for name in names},
                preprocess=parent.preprocess,
                threshold=threshold,
                calibration=parent.calibration,
                precision="int8",
                task=find_task(run.recipe.task),
                parent=parent.parent,
                quantizer=record,
                versions=package_versions(artifact.runtime),
                data=parent.data,
            )

        write(parent.threshold)
        if artifact.judged:
            valid = keep_predictions(run, artifact)["valid"]
            write(find_task(run.recipe.task).threshold(labels_of(run, "valid"), valid))


def calibration_images(run: Run, *, preprocess: PreprocessSpec, wanted: int) -> list[Pixels]:
    """Training images only, the classes in turn, ``uint8 [1, S, S, 3]`` each; deterministic."""
    from distill.data.pixels import decode

    dataset = load_dataset(run.folder)
    random = np.random.default_rng(run.recipe.seed)
    chosen = []
    for label in (0, 1):
        samples = [sample for sample in dataset.split("train") if sample.label == label]
        picks = random.permutation(len(samples))[: (wanted + 1 - label) // 2]
        chosen.append([samples[index] for index in picks])
    mixed = [sample for pair in zip(*chosen, strict=False) for sample in pair]
    return [decode(dataset.root, sample, spec=preprocess)[None] for sample in mixed]
