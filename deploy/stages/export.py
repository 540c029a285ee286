"""The work of an export stage: one FP32 artifact per runtime, from the same ONNX file."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from deploy.artifact import MODEL_FILES, package_versions, write_artifact
from distill.pipeline.runfolder import EVALUATED, WEIGHTS, save_arrays
from distill.pipeline.stage import Progress, Run
from distill.roster import Artifact, Model


def export_model(run: Run, progress: Progress, *, model: Model, artifacts: tuple[Artifact, ...]) -> None:
    """Export ``model`` at the artifacts' size, and keep what those that are judged say."""
    from deploy.onnx_graph import export_onnx, export_openvino
    from distill.models import load_model
    from distill.stages.training import choice_of, data_name
    from distill.task import find_task

    choice, task = choice_of(run, model), find_task(run.recipe.task)
    preprocess = model.preprocess.model_copy(update={"size": artifacts[0].size})
    network = load_model(run.recipe, model, run.folder / model.folder / WEIGHTS)
    with tempfile.TemporaryDirectory(dir=run.folder) as temporary:
        onnx, xml = Path(temporary, "model.onnx"), Path(temporary, "model.xml")
        export_onnx(network, preprocess=preprocess, calibration=choice.calibration, task=task, path=onnx)
        export_openvino(onnx, path=xml)
        for artifact in artifacts:
            write_artifact(
                run.folder / artifact.folder,
                name=model.name,
                files={name: Path(temporary, name) for name in MODEL_FILES[artifact.runtime]},
                preprocess=preprocess,
                threshold=choice.threshold,
                calibration=choice.calibration,
                precision="fp32",
                task=task,
                parent=choice.weights,
                versions=package_versions("torch", "onnx", artifact.runtime),
                data=data_name(run),
            )
    for artifact in artifacts:
        if artifact.judged:
            keep_predictions(run, artifact)


def keep_predictions(run: Run, artifact: Artifact) -> dict[str, Any]:
    """Probabilities of an artifact on every evaluated split, through the runtime that users get."""
    from deploy.runtime import Detector
    from distill.stages.training import pixels_of

    detector = Detector.load(run.folder / artifact.folder, runtime=artifact.runtime, threads=1)
    found = {}
    for split in EVALUATED:
        pixels = pixels_of(run, split, spec=artifact.model.preprocess)
        if len(pixels):
            logits = [detector.run(pixels.batch([index])) for index in range(len(pixels))]
            found[split] = detector.probabilities(np.concatenate(logits))
    save_arrays(run.folder / artifact.predictions, found)
    return found
