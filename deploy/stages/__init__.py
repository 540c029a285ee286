"""The stages of this package: export, quantize, parity, and the sweep over degraded images.

What a stage needs follows from the files that it reads: whichever stages leave them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy.artifact import MANIFEST_NAME, MODEL_FILES
from deploy.stages.degradations import OUTPUTS, predict_degraded
from deploy.stages.export import export_model
from deploy.stages.parity import PARITY, check_parity
from deploy.stages.quantize import quantize_model
from distill.pipeline.stage import Stage, makers
from distill.recipe import Recipe
from distill.roster import Artifact, Model, Roster
from distill.task import find_task

if TYPE_CHECKING:
    from distill.stages.quantization_aware import Lesson

_SECONDS_A_SAMPLE = 0.08  # of the sweep, in the demo


def deploy_stages(recipe: Recipe, roster: Roster, stages: Sequence[Stage]) -> list[Stage]:
    """Artifacts of the teacher and every student, then the proof that they are what they claim to be.

    Args:
        recipe: the recipe.
        roster: what it asks for.
        stages: all that come before.
    """
    made = [_export_stage(group, stages) for model in roster.deployed for group in _groups(roster, model)]
    int8 = [item for item in roster.artifacts if item.precision == "int8"]
    lessons = _lessons(recipe, roster)
    for item in sorted(int8, key=lambda item: not item.judged):  # the timed ones are made like the judged
        lesson = lessons.get(item.model) if item.judged else None
        made.append(_quantize_stage(item, like=_judged_form(item, int8), lesson=lesson, before=made))
    before = [*stages, *made]
    return [*made, _parity_stage(roster, before), *_sweep_stages(recipe, roster, before)]


def _groups(roster: Roster, model: Model) -> list[tuple[Artifact, ...]]:
    """The FP32 artifacts of a model, those of one size together: they are made from one ONNX file."""
    fp32 = [item for item in roster.artifacts_of(model) if item.precision == "fp32"]
    return [tuple(item for item in fp32 if item.size == size) for size in dict.fromkeys(a.size for a in fp32)]


def _export_stage(artifacts: tuple[Artifact, ...], before: Sequence[Stage]) -> Stage:
    model = artifacts[0].model
    return Stage(
        f"export:{model.key}@{artifacts[0].size}", "export", export_model,
        arguments={"model": model, "artifacts": artifacts},
        reads=("task",),
        needs=makers(before, [model.choice]),
        outputs=tuple(file for item in artifacts for file in _files(item)),
        cost=8,
    )  # fmt: skip


def _quantize_stage(
    artifact: Artifact, *, like: Artifact | None, lesson: "Lesson | None", before: Sequence[Stage]
) -> Stage:
    """What a training again reads of the recipe is read before, by the trainings that the parent came from."""
    given = {name: value for name, value in (("like", like), ("lesson", lesson)) if value}
    made_from = [item for item in (artifact.parent, like) if item]
    return Stage(
        f"quantize:{artifact.model.key}@{artifact.size}:{artifact.quantizer}", "quantize", quantize_model,
        arguments={"artifact": artifact, **given},
        reads=(f"quantization.{artifact.quantizer}", "seed", "task", *(["repair"] if lesson else [])),
        needs=makers(before, [f"{item.folder}/{MANIFEST_NAME}" for item in made_from]),
        outputs=_files(artifact),
        cost=8,
    )  # fmt: skip


def _lessons(recipe: Recipe, roster: Roster) -> dict[Model, "Lesson"]:
    """What each student is trained on, should INT8 need it."""
    from distill.stages.quantization_aware import Lesson
    from distill.stages.sources import shown_views, sources_of

    sources, views = sources_of(recipe, roster), shown_views(recipe, roster)
    return {student: Lesson(student, sources, views) for student in roster.distilled}


def _judged_form(timed: Artifact, artifacts: Sequence[Artifact]) -> Artifact | None:
    """The judged form of an artifact that serves the latency bench alone."""
    if timed.judged:
        return None
    return next(
        item
        for item in artifacts
        if item.judged and (item.model, item.quantizer) == (timed.model, timed.quantizer)
    )


def _parity_stage(roster: Roster, before: Sequence[Stage]) -> Stage:
    files = [file for artifact in roster.judged for file in _files(artifact)]
    return Stage(
        "parity", "verify", check_parity,
        arguments={"models": roster.deployed, "artifacts": roster.judged},
        reads=("gates.parity_fp32", "gates.int8_drift", "task"),
        needs=makers(before, [*files, *(model.predictions for model in roster.deployed)]),
        outputs=(PARITY,),
        cost=6,
    )  # fmt: skip


def _files(artifact: Artifact) -> tuple[str, ...]:
    names = (MANIFEST_NAME, *MODEL_FILES[artifact.runtime])
    said = (artifact.predictions,) if artifact.judged else ()
    return (*(f"{artifact.folder}/{name}" for name in names), *said)


def sweeps(recipe: Recipe) -> bool:
    """Whether a run shows degraded images: real and generated ones, if the recipe asks for some."""
    return recipe.degradations.samples > 0 and not find_task(recipe.task).classes


def _sweep_stages(recipe: Recipe, roster: Roster, before: Sequence[Stage]) -> list[Stage]:
    """What every model says of degraded images; judged in ``bench``. The questions are about real and generated ones."""
    if not sweeps(recipe):
        return []
    int8 = tuple(artifact for artifact in roster.judged if artifact.precision == "int8")
    files = [f"{artifact.folder}/{MANIFEST_NAME}" for artifact in int8]
    return [
        Stage(
            "degradations:outputs", "evaluate", predict_degraded,
            arguments={"models": roster.networks, "artifacts": int8},
            reads=("degradations.samples", "seed", "task"),
            needs=makers(before, [*(model.choice for model in roster.networks), *files]),
            outputs=(OUTPUTS,),
            cost=_SECONDS_A_SAMPLE * recipe.degradations.samples,
        )
    ]  # fmt: skip
