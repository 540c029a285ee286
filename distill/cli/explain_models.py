"""The models that ``edgeproof explain`` shows beside each other: by their paths and names, or those of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distill.cli.dispatch import MANIFEST, is_artifact
from distill.errors import EdgeproofError, unknown_name
from distill.pipeline.runfolder import WEIGHTS

if TYPE_CHECKING:
    from deploy.explain.subject import Subject


@dataclass(frozen=True)
class Chosen:
    """Models to show beside each other.

    Attributes:
        subjects: in the order of tables.
        reference: the one whose maps those of the others are compared with.
        steps: from one to another, by their names: what they change is told.
    """

    subjects: "tuple[Subject, ...]"
    reference: str
    steps: tuple[tuple[str, str], ...]


def models_named(
    given: Sequence[Path], beside: Sequence[str], *, layers: Sequence[str], runtime: str | None
) -> Chosen:
    """The model that was given and those beside it; the first is what the others are compared with.

    Raises:
        EdgeproofError: none was given, one twice, or what :func:`_opened` raises.
    """
    if not given:
        raise EdgeproofError("explain: no model was given, expected an artifact, a checkpoint, or --run")
    subjects: list[Subject] = []
    for model in (str(given[0]), *beside):
        found = _opened(model, layers=layers, runtime=runtime)
        taken = {subject.name for subject in subjects}
        subjects.append(found.called(f"{found.name} {found.form}") if found.name in taken else found)
    names = [subject.name for subject in subjects]
    for name in names:
        if names.count(name) > 1:
            raise EdgeproofError(f"--with: {name} is there twice, expected different models")
    first, *others = names
    return Chosen(tuple(subjects), first, tuple((first, other) for other in others))


def _opened(model: str, *, layers: Sequence[str], runtime: str | None) -> "Subject":
    """An artifact or a checkpoint, by its path or as a shipped one's name.

    Raises:
        EdgeproofError: neither.
    """
    from deploy.explain.subject import artifact_subject
    from deploy.runtime import Detector
    from deploy.shipped import find_artifact, shipped_artifacts
    from distill.pretrained import shipped_weights

    path, weights = Path(model), shipped_weights()
    if is_artifact(model) or (not path.exists() and model in shipped_artifacts()):
        return artifact_subject(Detector.load(find_artifact(model, runtime=runtime), runtime=runtime))
    if path.is_dir():
        path = path / WEIGHTS
    if not path.exists() and model in weights:
        path = weights[model]
    if path.suffix != ".safetensors" or not path.is_file():
        names = ", ".join([*shipped_artifacts(), *weights])
        raise EdgeproofError(
            f"{model}: expected an artifact's folder (with {MANIFEST}), a checkpoint (.safetensors) or its folder, or a "
            f"shipped one's name: {names}"
        )
    from deploy.explain.cam import checkpoint_subject

    return checkpoint_subject(path, layers=layers)


def models_of_run(run: Path, student: str | None, *, layers: Sequence[str]) -> Chosen:
    """Teacher, student alone, distilled, and its INT8 forms; the distilled one is what the others are compared with.

    The steps are distillation, from the student alone, and each way to INT8.

    Raises:
        EdgeproofError: no such student, or a run that has not come that far.
    """
    from deploy.explain.cam import checkpoint_subject
    from deploy.explain.subject import artifact_subject
    from deploy.runtime import Detector
    from distill.cli.run import roster_for
    from distill.recipe import load_recipe

    if not (run / "recipe.toml").is_file():
        raise EdgeproofError(f"--run {run}: holds no recipe.toml, expected a run folder")
    roster = roster_for(load_recipe(str(run / "recipe.toml")))
    students = {model.name: model for model in roster.distilled}
    if student is not None and student not in students:
        raise unknown_name(kind="student", given=student, choices=students)
    chosen = students[student or next(iter(students))]
    teacher = [model for model in roster.teachers[:1] if not model.black_box]
    networks = [*teacher, roster.controls_of(chosen)[0], chosen]
    names = {chosen.key: f"{chosen.name} distilled", f"{chosen.name}/alone": f"{chosen.name} alone"}
    subjects = [
        checkpoint_subject(
            run / model.folder / WEIGHTS, name=names.get(model.key, model.key),
            layers=() if model.is_teacher else layers,
        )
        for model in networks
    ]  # fmt: skip
    int8 = {
        f"{chosen.name} INT8 {artifact.quantizer}": artifact
        for artifact in roster.artifacts_of(chosen)
        if artifact.judged and artifact.precision == "int8"
    }
    for name, artifact in int8.items():
        detector = Detector.load(run / artifact.folder, runtime=artifact.runtime)
        subjects.append(artifact_subject(detector, name=name))
    distilled, alone = names[chosen.key], names[f"{chosen.name}/alone"]
    return Chosen(tuple(subjects), distilled, ((alone, distilled), *((distilled, name) for name in int8)))
