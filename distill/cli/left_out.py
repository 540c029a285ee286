"""What a run may do without: a form that a runtime refuses, and students that the recipe calls ``optional``.

What cannot be made is told of, and the others go on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from distill.recipe import Recipe


def without_unfit(recipe: "Recipe", *, check: Callable[["Recipe"], None]) -> "Recipe":
    """The recipe without the optional students that ``check`` refuses.

    Raises:
        EdgeproofError: what it says of the rest, or of all where nothing would be left.
    """
    try:
        check(recipe)
        return recipe
    except EdgeproofError as error:
        refused = error
    for name, settings in recipe.students.items():
        others = [other for other in recipe.students if other != name]
        if not settings.optional or not others:
            continue
        try:
            check(recipe.model_copy(update={"students": {name: settings}}))
        except EdgeproofError as error:
            if _fits(recipe, others, check):
                return without_unfit(_without(recipe, name, error), check=check)
    raise refused


def _fits(recipe: "Recipe", names: list[str], check: Callable[["Recipe"], None]) -> bool:
    """Whether any of these students alone is not refused: then it is not the rest of the recipe that is wrong."""
    for name in names:
        try:
            check(recipe.model_copy(update={"students": {name: recipe.students[name]}}))
        except EdgeproofError:
            continue
        return True
    return False


def after(recipe: "Recipe", error: EdgeproofError) -> "Recipe":
    """The recipe to go on with after a stage has failed: without one form of a network, or without an optional student.

    Raises:
        EdgeproofError: ``error`` itself, where neither will do, or no other student is left.
    """
    if rest := _without_form(recipe, error):
        return rest
    if not _is_optional(recipe, error.student) or len(recipe.students) == 1:
        raise error
    return _without(recipe, error.student, error)


def _without_form(recipe: "Recipe", error: EdgeproofError) -> "Recipe | None":
    """The recipe without the form that ``error`` is about; None if the network would have no other, or must have this one.

    What a runtime lacks, nobody can mend in a recipe, so that any network does without it; a quantizer that fails may have
    been given the wrong settings.
    """
    from distill.roster import TEACHER, roster_of

    if not error.form or not (error.runtime or _is_optional(recipe, error.student)):
        return None
    reason = str(error).partition("\n")[0]
    rest = recipe.without_form(error.form, reason=reason)
    if all(item.model.name != (error.student or TEACHER) for item in roster_of(rest).judged):
        return None
    typer.echo(f"edgeproof: warning: left out {error.form}: {reason}", err=True)
    return rest


def _is_optional(recipe: "Recipe", student: str) -> bool:
    settings = recipe.students.get(student)
    return settings is not None and settings.optional


def _without(recipe: "Recipe", name: str, error: EdgeproofError) -> "Recipe":
    reason = str(error).partition("\n")[0]
    typer.echo(f"edgeproof: warning: left out, since the recipe calls it optional: {reason}", err=True)
    return recipe.without(name, reason=reason)
