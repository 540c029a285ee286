"""What a recipe asks that its task cannot do, found before any work."""

from collections.abc import Iterator

from distill.data.layouts import CLASS_LAYOUTS
from distill.errors import EdgeproofError
from distill.models import skeleton_of
from distill.recipe import DataSettings, Recipe
from distill.roster import Roster, settings_of
from distill.task import Families, Task, find_task
from distill.training.head import head_of
from distill.training.layer_decay import layer_scales


def task_problems(recipe: Recipe, roster: Roster) -> Iterator[EdgeproofError]:
    """Data, losses, schedules and gates that do not fit the task, or a model."""
    task = find_task(recipe.task)
    if task.num_logits > 1:
        yield from _for_one_logit(recipe, roster, task)
    if task.classes:
        yield from _unfit_data(recipe, roster, task)
        for name in ("teacher_auc", "degraded_auc", "degraded_accuracy"):
            if given := getattr(recipe.gates, name):
                yield EdgeproofError(
                    f"gates.{name}: given {given:g} for {len(task.classes)} classes, expected 0: they have no AUC of "
                    "generated images"
                )
    if isinstance(task, Families) and "pool" in recipe.distillation.controls:
        yield EdgeproofError(
            "distillation.controls: pool trains the unlabelled images with their true labels, which do not say what family "
            "made them (task.kind = 'families'); expected no pool"
        )
    yield from _no_head(recipe, roster)
    yield from _no_layers(recipe, roster)


def _for_one_logit(recipe: Recipe, roster: Roster, task: Task) -> Iterator[EdgeproofError]:
    what = f"for task.kind = {recipe.task.kind!r} with {task.num_logits} logits"
    for section, loss in recipe.every_loss.items():
        if loss.kind != "bce" or loss.remedies:
            given = loss.remedies[0] if loss.remedies else f"kind = {loss.kind!r}"
            yield EdgeproofError(
                f"{section}.{given}: given {what}, expected the defaults of [{section}]: they are for one logit; "
                "training.balanced = true makes up for rare classes"
            )
    for model in (*roster.teachers, *roster.distilled):
        mixup = settings_of(recipe, model).mixup
        if mixup:
            yield EdgeproofError(
                f"{model.section}.mixup: given {mixup:g} {what}, expected 0: it mixes labels of one logit"
            )


def _unfit_data(recipe: Recipe, roster: Roster, task: Task) -> Iterator[EdgeproofError]:
    """Images that cannot tell the classes."""
    yield from _unfit("data", recipe.data, task)
    for teacher in roster.teachers:
        own = recipe.all_teachers[teacher.name].data
        if own:
            yield from _unfit(f"{teacher.section}.data", own, task)


def _unfit(key: str, data: DataSettings, task: Task) -> Iterator[EdgeproofError]:
    classes = ", ".join(task.classes)
    if not data.path:
        yield EdgeproofError(
            f"{key}.path: missing for the classes {classes} (task.labels), expected a folder of images; simulated ones "
            "are real or generated"
        )
    if data.path and data.layout not in ("auto", *CLASS_LAYOUTS):
        yield EdgeproofError(
            f"{key}.layout: {data.layout!r} tells real from generated, expected auto, {' or '.join(CLASS_LAYOUTS)} for "
            f"the classes {classes} (task.labels)"
        )
    if data.columns.fake:
        yield EdgeproofError(
            f"{key}.columns.fake: given {data.columns.fake!r} for the classes {classes} (task.labels), expected none"
        )


def _no_layers(recipe: Recipe, roster: Roster) -> Iterator[EdgeproofError]:
    """Networks that do not tell the order of their layers."""
    for model in (*roster.teachers, *roster.distilled):
        decay = settings_of(recipe, model).layer_decay
        if decay < 1:
            try:
                layer_scales(skeleton_of(recipe, model), decay=decay)
            except EdgeproofError as error:
                if str(error).startswith("layer_decay"):  # any other is told where features are read
                    yield EdgeproofError(f"{model.section}.{error}")


def _no_head(recipe: Recipe, roster: Roster) -> Iterator[EdgeproofError]:
    """Networks that cannot train their head alone at first."""
    for model in (*roster.teachers, *roster.distilled):
        if settings_of(recipe, model).frozen_epochs:
            try:
                head_of(skeleton_of(recipe, model))
            except EdgeproofError as error:
                if str(error).startswith("frozen_epochs"):  # any other is told where features are read
                    yield EdgeproofError(f"{model.section}.{error}")
