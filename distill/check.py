"""What can be said of a recipe before any work: unknown names, options and files, all at once."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from distill.check_fitted import fitted_problems
from distill.check_means import problems_of_means
from distill.check_task import task_problems
from distill.data.layouts import LAYOUTS, load_dataset
from distill.data.predictions import answers_of, read_predictions
from distill.errors import EdgeproofError, MistakesError, unknown_name
from distill.files import at_home
from distill.methods import METHODS, Pair, build_method, heard_by
from distill.models import make_model, parts_of, skeleton_of
from distill.parts import find_part
from distill.preprocess import PreprocessSpec
from distill.pretrained import find_weights, read_about
from distill.recipe import MethodSettings, Recipe
from distill.roster import TEACHER, Model, Roster, settings_of
from distill.task import find_task
from distill.training.precision import possible_precisions


def check_names(recipe: Recipe, roster: Roster) -> None:
    """Find every unknown name and option; feature widths are read without building or downloading weights.

    Raises:
        EdgeproofError: task, teacher, student, option, weights file, method, feature or layout that does not
            exist; a line each.
    """
    problems = [*dict.fromkeys(str(problem) for problem in _problems(recipe, roster))]
    if problems:
        raise MistakesError(*problems)


def lessons(recipe: Recipe, learner: Model) -> tuple[MethodSettings, ...]:
    """The methods that a network is taught by: a student's in its arm, or an assistant's, who listens to its own teacher."""
    if learner.is_control:
        return ()
    if not learner.is_teacher:
        return recipe.distillation.lesson(learner.arm).methods
    methods = recipe.distillation.methods
    other = recipe.all_teachers[learner.name].learns_from
    return tuple(
        method.model_copy(update={"teachers": (other,)}) if heard_by(method) else method
        for method in methods
        if other
    )


def pair_of(recipe: Recipe, method: MethodSettings, *, student: Model, teachers: Iterable[Model]) -> Pair:
    """What a method stands between; of the teachers, those that it listens to."""
    named = {teacher.name: teacher for teacher in teachers}
    heard = [named[name] for name in heard_by(method)]
    return Pair.of(
        parts_of(recipe, student),
        {teacher.name: parts_of(recipe, teacher) for teacher in heard},
        task=find_task(recipe.task),
        sees={"": student.preprocess, **{teacher.name: teacher.preprocess for teacher in heard}},
        make_student=partial(make_model, recipe, student),
    )


def check_weights(recipe: Recipe, model: Model) -> None:
    """Compare a teacher's finished weights with the network of the recipe, and with what their sidecar tells.

    Raises:
        EdgeproofError: no such file, one that cannot be read, or a teacher of another architecture, task or normalization.
    """
    key = f"{model.section}.weights"
    path = find_weights(recipe.all_teachers[model.name].weights, key=key)
    about = read_about(path)
    task = find_task(recipe.task).described
    for name, given in (("architecture", model.architecture), ("task", task)):
        if about.get(name, given) != given:
            raise EdgeproofError(f"{key}: {path}: {name} is {about[name]!r}, but the recipe says {given!r}")
    if "preprocess" in about:
        trained = PreprocessSpec.model_validate(about["preprocess"])
        for name in ("mean", "std"):
            found, given = getattr(trained, name), getattr(model.preprocess, name)
            if found != given:
                raise EdgeproofError(
                    f"{key}: {path}: was trained with {name} {list(found)}, but would be shown images with "
                    f"{list(given)}; set {model.section}.preprocess.{name}"
                )
    _check_tensors(recipe, model, path, key=key)


def _check_tensors(recipe: Recipe, model: Model, path: Path, *, key: str) -> None:
    from distill.training.weights_file import fit_tensors, read_tensors, shapes_of

    network = skeleton_of(recipe, model)
    try:
        generated = recipe.all_teachers[model.name].generated_class
        fit_tensors(
            read_tensors(path), expected=shapes_of(network), origin=str(path), generated_class=generated
        )
    except EdgeproofError as error:
        raise EdgeproofError(f"{key}: {error}") from None


def _problems(recipe: Recipe, roster: Roster) -> Iterator[EdgeproofError]:
    unknown = [found for method in recipe.distillation.every_method if (found := _unknown_method(method))]
    yield from unknown
    sound: set[Model] = set()
    for model in (*roster.teachers, *roster.distilled):
        try:
            parts_of(recipe, model)
            sound.add(model)
        except EdgeproofError as error:
            yield error
        yield from _missing_weights(recipe, model)
        yield from _unfit_answers(recipe, model)
    yield from task_problems(recipe, roster)
    yield from fitted_problems(recipe, roster)
    yield from _misfits_of_size(recipe, roster)
    yield from _idle_controls(recipe)
    if not unknown:
        yield from _cached_for_mixup(recipe)
    if not unknown and sound.issuperset(roster.teachers):
        names = {model.name for model in sound}
        yield from _misfits(recipe, roster, [model for model in roster.models if model.name in names])
    yield from _impossible_precision(recipe)
    yield from problems_of_means(recipe)
    if recipe.data.path and recipe.data.layout not in ("auto", *LAYOUTS):
        yield unknown_name(kind="layout", given=recipe.data.layout, choices=["auto", *LAYOUTS])


def _impossible_precision(recipe: Recipe) -> Iterator[EdgeproofError]:
    settings = recipe.training
    if settings.precision != "auto":  # which is possible everywhere, and reads the processor for a second
        try:
            possible_precisions(settings.precision, accelerator=settings.accelerator)
        except EdgeproofError as error:
            yield error


def _misfits_of_size(recipe: Recipe, roster: Roster) -> Iterator[EdgeproofError]:
    """Modules of the user's own that cannot take the size at which every network is timed."""
    size = recipe.bench.like_for_like_size
    for model in roster.deployed:
        larger = replace(model, preprocess=model.preprocess.model_copy(update={"size": size}))
        try:
            parts_of(recipe, larger)
        except EdgeproofError as error:
            if "cannot take images" in str(error):
                yield EdgeproofError(f"{error}; bench.like_for_like_size times every network at that size")


def _idle_controls(recipe: Recipe) -> Iterator[EdgeproofError]:
    """Control arms that would differ in nothing, or that cannot be told their labels."""
    controls, data = recipe.distillation.controls, recipe.data
    if "plain" in controls and not recipe.augmentation.active:
        yield EdgeproofError(
            "distillation.controls: plain trains without augmentation, found none with a probability in "
            "[augmentation]; expected one, or no plain"
        )
    if "pool" in controls and data.unlabelled:
        yield EdgeproofError(
            "distillation.controls: pool trains the unlabelled images with their true labels, found "
            f"data.unlabelled = {data.unlabelled!r}, which tells none; expected a set that knows them, or no pool"
        )
    elif "pool" in controls and data.simulate and not data.path and not data.simulate.scenes.unlabelled:
        yield EdgeproofError(
            "distillation.controls: pool trains the unlabelled images with their true labels, found "
            "data.simulate.scenes.unlabelled = 0; expected some scenes, or no pool"
        )


def _unknown_method(method: MethodSettings) -> EdgeproofError | None:
    try:
        find_part("methods", method.name, table=METHODS, kind="distillation method")
    except EdgeproofError as error:
        return error
    return None


def _misfits(recipe: Recipe, roster: Roster, learners: list[Model]) -> Iterator[EdgeproofError]:
    """Methods that do not fit between a student, or an assistant, and its teachers."""
    for learner in learners:
        methods = lessons(recipe, learner)
        for method in methods:
            try:
                build_method(method, pair=pair_of(recipe, method, student=learner, teachers=roster.teachers))
            except EdgeproofError as error:
                yield EdgeproofError(f"{learner.section}: {error}") if learner.is_teacher else error
        other = learner.is_teacher and recipe.all_teachers[learner.name].learns_from
        if other and not any(map(heard_by, methods)):
            yield EdgeproofError(
                f"{learner.section}.learns_from: given {other!r}, found no method that listens to a teacher; expected one"
            )


def _cached_for_mixup(recipe: Recipe) -> Iterator[EdgeproofError]:
    """A mixed image is taught by what is said of that very image."""
    heard = {name for method in recipe.distillation.every_method for name in heard_by(method)}
    cached = [
        name for name in recipe.all_teachers if name in heard and recipe.all_teachers[name].source == "cached"
    ]
    for student, settings in recipe.students.items() if cached else ():
        if settings.mixup:
            section = TEACHER if cached[0] == TEACHER else f"teachers.{cached[0]}"
            yield EdgeproofError(
                f"students.{student}.mixup: given {settings.mixup:g} with answers of {section} that are cached; expected "
                f'{section}.source = "online", since a mixed image is taught by what is said of that very image'
            )


def _missing_weights(recipe: Recipe, model: Model) -> Iterator[EdgeproofError]:
    settings = settings_of(recipe, model)
    backbone = settings.options.get("weights")
    if backbone and not at_home(backbone).is_file():
        yield EdgeproofError(
            f"{model.section}.options.weights: {backbone}: no such file, expected a .safetensors checkpoint"
        )
    if model.is_teacher and recipe.all_teachers[model.name].weights:
        try:
            check_weights(recipe, model)
        except EdgeproofError as error:
            yield error


def _unfit_answers(recipe: Recipe, model: Model) -> Iterator[EdgeproofError]:
    """A black box's table that cannot be read, is of another task, or leaves images of the user's without an answer."""
    table, key, task = "", f"{model.section}.predictions", find_task(recipe.task)
    if model.is_teacher:
        table = recipe.all_teachers[model.name].predictions
    if not table:
        return
    if task.num_logits != 1:
        yield EdgeproofError(
            f"{key}: one probability an image, for {task.num_logits} logits; expected task = 'binary'"
        )
        return
    try:
        answers = read_predictions(at_home(table))
        if recipe.data.path:
            root = at_home(recipe.data.path)
            dataset = load_dataset(root, layout=recipe.data.layout, columns=recipe.data.columns)
            bad = recipe.data.max_bad_share  # files that cannot be read need no answer
            answers_of(answers, dataset, dataset.samples, key=key, missing_share=bad)
    except EdgeproofError as error:
        yield error if str(error).startswith(key) else EdgeproofError(f"{key}: {error}")
