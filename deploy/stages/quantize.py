"""The work of a quantization stage: one INT8 artifact; its threshold and band are fitted again on validation images."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.artifact import RepairRecord, read_manifest
from deploy.stages.calibration import calibration_images
from deploy.stages.export import keep_predictions, probabilities_of
from deploy.stages.forms import making
from distill.pipeline.stage import Progress, Run
from distill.roster import Artifact

if TYPE_CHECKING:
    from distill.stages.quantization_aware import Lesson

_LATENCY_ONLY_SAMPLES = 8  # enough for ranges that nobody will judge images with


def quantize_model(
    run: Run,
    progress: Progress,
    *,
    artifact: Artifact,
    like: Artifact | None = None,
    lesson: "Lesson | None" = None,
) -> None:
    """Make ``artifact`` from its parent.

    Args:
        run: with the parent.
        progress: is told of a training's steps, where one is needed.
        artifact: a judged student's is repaired if it loses too much (see :mod:`deploy.repair`).
        lesson: what that student is trained on, should it come to that.
        like: the judged form of one that serves the latency bench alone, whose layers in float it takes over, and whose
            form, though another may be faster at this size: the file that is timed computes as the one that is judged.
    """
    with making(run, [artifact]):
        if artifact.judged:
            _make_judged(run, progress, artifact, lesson=lesson)
        else:
            _make_timed(run, artifact, like=like)


def _make_judged(run: Run, progress: Progress, artifact: Artifact, *, lesson: "Lesson | None") -> None:
    from deploy.interface import rewrite
    from deploy.stages.tries import Tries
    from distill.stages.training import labels_of
    from distill.task import find_task

    artifacts = run.folder / "artifacts"
    with tempfile.TemporaryDirectory(dir=artifacts, prefix=f".{artifact.key}-") as temporary:
        tries = Tries(run, artifact, folder=Path(temporary), progress=progress, lesson=lesson)
        record: RepairRecord | None = None
        if artifact.model.is_teacher:  # it is held to no drop
            kept = tries.plain().artifact
        else:
            kept, record = tries.repaired()
        valid = probabilities_of(run, kept, artifact=artifact, splits=("valid",))["valid"]
        task, labels = find_task(run.recipe.task), labels_of(run, "valid")
        threshold = task.threshold(labels, valid)
        band = task.band(labels, valid, threshold=threshold)
        rewrite(
            kept, run.folder / artifact.folder, threshold=threshold, band=band, repair=record,
            strata=tries.calibration.strata,
        )  # fmt: skip
    keep_predictions(run, artifact)


def _make_timed(run: Run, artifact: Artifact, *, like: Artifact | None) -> None:
    from deploy.interface import quantize
    from deploy.stages.tries import network_of
    from distill.task import find_task

    if artifact.parent is None or artifact.quantizer is None:
        raise ValueError(f"{artifact.key} has no parent or quantizer, expected an INT8 artifact")
    section = run.recipe.quantization[artifact.quantizer]
    judged = read_manifest(run.folder / like.folder).quantizer if like else None
    spec = artifact.model.preprocess.model_copy(update={"size": artifact.size})
    quantize(
        run.folder / artifact.parent.folder,
        calibration_images(run, spec=spec, wanted=_LATENCY_ONLY_SAMPLES).images,
        out=run.folder / artifact.folder,
        tool=section.tool or artifact.quantizer,
        settings={**section.settings, **(judged.kept_form if judged else {})},
        samples=_LATENCY_ONLY_SAMPLES,
        name=artifact.quantizer,
        float_layers=judged.float_layers if judged else (),
        network=network_of(run, artifact),
        task=find_task(run.recipe.task),
    )
