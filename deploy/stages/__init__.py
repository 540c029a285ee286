"""The stages of this package: export, quantize, parity, and the sweep over degraded images."""

from deploy.artifact import MODEL_FILES
from deploy.stages.degradations import OUTPUTS, predict_degraded
from deploy.stages.export import export_model
from deploy.stages.parity import PARITY, check_parity
from deploy.stages.quantize import quantize_model
from distill.pipeline.stage import Stage
from distill.recipe import Recipe
from distill.roster import Artifact, Model, Roster

_SECONDS_A_SAMPLE = 0.08  # of the sweep, in the demo


def deploy_stages(recipe: Recipe, roster: Roster) -> list[Stage]:
    """Artifacts of the teacher and every student, then the proof that they are what they claim to be."""
    exports = [_export_stage(model, group) for model in roster.deployed for group in _groups(roster, model)]
    quantizations = [_quantize_stage(item) for item in roster.artifacts if item.precision == "int8"]
    stages = [stage for export in exports for stage in (export, *_followers(export, quantizations))]
    judged = tuple(stage.name for stage in stages if _judged(stage))
    parity = Stage(
        "parity", "verify", check_parity,
        arguments={"models": roster.deployed, "artifacts": roster.judged},
        reads=("gates.parity_fp32", "task"), needs=judged, outputs=(PARITY,), cost=6,
    )  # fmt: skip
    return [*stages, parity, *_sweep_stages(recipe, roster, quantizations)]


def choice_stage(model: Model) -> str:
    """Name of the stage that froze a model's calibration and threshold."""
    return f"{model.name}:choice" if model.is_teacher else f"choose:{model.key}"


def _groups(roster: Roster, model: Model) -> list[tuple[Artifact, ...]]:
    """The FP32 artifacts of a model, those of one size together: they are made from one ONNX file."""
    fp32 = [item for item in roster.artifacts_of(model) if item.precision == "fp32"]
    return [tuple(item for item in fp32 if item.size == size) for size in dict.fromkeys(a.size for a in fp32)]


def _export_stage(model: Model, artifacts: tuple[Artifact, ...]) -> Stage:
    return Stage(
        _export_name(artifacts[0]), "export", export_model,
        arguments={"model": model, "artifacts": artifacts},
        reads=("task",),
        needs=(choice_stage(model),),
        outputs=tuple(file for item in artifacts for file in _files(item)),
        cost=8,
    )  # fmt: skip


def _quantize_stage(artifact: Artifact) -> Stage:
    return Stage(
        f"quantize:{artifact.model.key}@{artifact.size}:{artifact.quantizer}", "quantize", quantize_model,
        arguments={"artifact": artifact},
        reads=(f"quantization.{artifact.quantizer}", "seed", "task"),
        needs=(_export_name(artifact),),
        outputs=_files(artifact),
        cost=8,
    )  # fmt: skip


def _export_name(artifact: Artifact) -> str:
    return f"export:{artifact.model.key}@{artifact.size}"


def _followers(export: Stage, stages: list[Stage]) -> list[Stage]:
    return [stage for stage in stages if export.name in stage.needs]


def _judged(stage: Stage) -> bool:
    made = stage.arguments.get("artifacts") or (stage.arguments["artifact"],)
    return all(artifact.judged for artifact in made)


def _files(artifact: Artifact) -> tuple[str, ...]:
    names = ("manifest.json", *MODEL_FILES[artifact.runtime])
    said = (artifact.predictions,) if artifact.judged else ()
    return (*(f"{artifact.folder}/{name}" for name in names), *said)


def _sweep_stages(recipe: Recipe, roster: Roster, quantizations: list[Stage]) -> list[Stage]:
    """What every model says of degraded images; judged in ``bench``."""
    if recipe.degradations.samples == 0:
        return []
    int8 = tuple(artifact for artifact in roster.judged if artifact.precision == "int8")
    made = tuple(stage.name for stage in quantizations if _judged(stage))
    return [
        Stage(
            "degradations:outputs", "evaluate", predict_degraded,
            arguments={"models": roster.models, "artifacts": int8},
            reads=("degradations.samples", "seed", "task"),
            needs=(*(choice_stage(model) for model in roster.models), *made),
            outputs=(OUTPUTS,),
            cost=_SECONDS_A_SAMPLE * recipe.degradations.samples,
        )
    ]  # fmt: skip
