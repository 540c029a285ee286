"""What a recipe asks of a student that is fitted instead of trained, found before any work."""

from collections.abc import Iterator

from distill.errors import EdgeproofError
from distill.methods import METHODS
from distill.models import skeleton_of
from distill.parts import find_part
from distill.recipe import MethodSettings, Recipe
from distill.roster import Model, Roster
from distill.training.fitting import grid_of
from students.backbones import SPECTRUM
from students.embed import Embed


def fitted_student(recipe: Recipe, model: Model) -> Embed | None:
    """The skeleton of a network that is fitted; None for one that trains, or that cannot be built."""
    if model.black_box:
        return None
    try:
        found = skeleton_of(recipe, model)
    except EdgeproofError:  # told where features are read
        return None
    return found if isinstance(found, Embed) else None


def fitted_problems(recipe: Recipe, roster: Roster) -> Iterator[EdgeproofError]:
    """Hyper-parameters that a head has not, lessons that are no soft labels, and teachers that cannot be trained."""
    for teacher in roster.teachers:
        if not recipe.all_teachers[teacher.name].finished and fitted_student(recipe, teacher):
            yield EdgeproofError(
                f"{teacher.section}.name: {teacher.architecture!r} is fitted, not trained; expected a teacher that trains, or "
                "finished weights"
            )
    for student in roster.distilled:
        network = fitted_student(recipe, student)
        if network is None:
            continue
        try:
            grid_of(network)
        except EdgeproofError as error:
            yield EdgeproofError(f"{student.section}.{error}")
        if network.backbone_name == SPECTRUM and recipe.quantization and recipe.students[student.name].int8:
            yield EdgeproofError(
                f"{student.section}.int8: found true, but an image's spectrum is lost in 8 bits and there is no network behind "
                "it; expected int8 = false"
            )
        yield from _no_labels(recipe, student, head=network.head_name)


def _no_labels(recipe: Recipe, student: Model, *, head: str) -> Iterator[EdgeproofError]:
    usable = [name for name, method in METHODS.items() if method.as_labels]
    for arm in recipe.distillation.taught:
        for method in recipe.distillation.lesson(arm).methods:
            if not _as_labels(method):
                yield EdgeproofError(
                    f"{student.section}: the head {head} has no gradients and learns soft labels alone, found the method "
                    f"{method.name!r}; expected {', '.join(usable)}"
                )


def _as_labels(method: MethodSettings) -> bool:
    try:
        found: object = find_part("methods", method.name, table=METHODS, kind="distillation method")
    except EdgeproofError:  # told where methods are
        return True
    return bool(getattr(found, "as_labels", False))
