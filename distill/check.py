"""What can be said of a recipe before any work: unknown names and options, all at once."""

from torch import nn

from distill.data.layouts import LAYOUTS
from distill.errors import EdgeproofError, unknown_name
from distill.methods import METHODS, Pair, build_method
from distill.models import channels, make_model
from distill.recipe import Recipe


def check_names(recipe: Recipe) -> None:
    """Find unknown names and options before anything runs; all of them, a line each.

    Raises:
        EdgeproofError: teacher, student, option, method, feature or quantizer that does not exist.
    """
    problems = [
        str(unknown_name(kind="distillation method", given=method.name, choices=METHODS))
        for method in recipe.distillation.methods
        if method.name not in METHODS
    ]
    models: dict[str, nn.Module] = {}
    for name in ("teacher", *recipe.students):
        try:
            models[name] = make_model(recipe, name)
        except EdgeproofError as error:
            problems.append(str(error))
    for student in recipe.students.keys() & models.keys():
        if "teacher" in models:
            pair = Pair(student=channels(models[student]), teacher=channels(models["teacher"]))
            for method in recipe.distillation.methods:
                try:
                    build_method(method, pair=pair)
                except EdgeproofError as error:
                    problems.append(str(error))
    if recipe.data.path and recipe.data.layout not in ("auto", *LAYOUTS):
        problems.append(
            str(unknown_name(kind="layout", given=recipe.data.layout, choices=["auto", *LAYOUTS]))
        )
    if problems:
        raise EdgeproofError("\n".join(dict.fromkeys(problems)))
