"""The work of an export stage: one FP32 artifact per runtime, from the same ONNX file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deploy.stages.forms import making
from distill.pipeline.runfolder import EVALUATED, WEIGHTS, save_arrays
from distill.pipeline.stage import Progress, Run
from distill.roster import Artifact, Model


def export_model(run: Run, progress: Progress, *, model: Model, artifacts: tuple[Artifact, ...]) -> None:
    """Export ``model`` at the artifacts' size, and keep what those that are judged say.

    Raises:
        EdgeproofError: it cannot be exported, or a runtime refuses it: then with that ``form`` (:mod:`deploy.stages.forms`).
    """
    with making(run, artifacts):
        _export(run, model, artifacts)
        for artifact in artifacts:
            if artifact.judged:
                keep_predictions(run, artifact)


def _export(run: Run, model: Model, artifacts: tuple[Artifact, ...]) -> None:
    from deploy.interface import export
    from distill.evaluation.choice import choice_of
    from distill.models import load_model
    from distill.stages.training import data_name
    from distill.task import find_task

    choice = choice_of(run.folder, model)
    export(
        load_model(run.recipe, model, run.folder / model.folder / WEIGHTS),
        model.preprocess.model_copy(update={"size": artifacts[0].size}),
        out={artifact.runtime: run.folder / artifact.folder for artifact in artifacts},
        calibration=choice.calibration,
        threshold=choice.threshold,
        band=choice.band,
        task=find_task(run.recipe.task),
        name=model.name,
        data=data_name(run),
        parent=choice.weights,
    )


def keep_predictions(run: Run, artifact: Artifact) -> None:
    """Keep what an artifact says of every evaluated split."""
    found = probabilities_of(run, run.folder / artifact.folder, artifact=artifact, splits=EVALUATED)
    save_arrays(run.folder / artifact.predictions, found)


def probabilities_of(
    run: Run, folder: Path, *, artifact: Artifact, splits: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """What the form of ``artifact`` in ``folder`` says of each split that has images, through the runtime that users get."""
    from deploy.runtime import Detector
    from distill.stages.training import pixels_of

    detector = Detector.load(folder, runtime=artifact.runtime, threads=1)
    found = {}
    for split in splits:
        pixels = pixels_of(run, split, spec=artifact.model.preprocess)
        if len(pixels):
            logits = [detector.run(pixels.batch([index])) for index in range(len(pixels))]
            found[split] = detector.probabilities(np.concatenate(logits))
    return found
