"""The stages of this package: data, audit, teachers, their outputs, students, and the choice among seeds."""

from functools import partial

from distill.pipeline.runfolder import AUDIT, SAMPLES, SCAN, SUMMARY, WEIGHTS
from distill.pipeline.stage import Stage
from distill.recipe import DISTILLED, ModelSettings, Recipe
from distill.roster import TEACHER, Model, Roster, settings_of
from distill.stages.controls import check_pool
from distill.stages.cost import COST, measure_cost
from distill.stages.data import audit_data, data_state, make_data
from distill.stages.sources import Source, all_sources, fresh_views, shown_views, sources_for, sources_of
from distill.stages.student import train_student
from distill.stages.teacher import cache_outputs, train_teacher, weights_state
from distill.stages.training import choose
from distill.training.settings import TrainingSettings
from distill.training.views import Views

TRAINED = (WEIGHTS, "weights.json", "last.safetensors", "history.json")
CHOSEN = (WEIGHTS, "weights.json", "logits.npz")
_TRAINING = ("loss", "task", "augmentation")  # the input size comes with the model
_ELSEWHERE = {"seeds", "processes", "accelerator", "views"}  # inert, or in the stages' arguments
_KNOBS = tuple(name for name in TrainingSettings.model_fields if name not in _ELSEWHERE)
_POOL = "pool"
_SCHEDULE = (*ModelSettings.model_fields, "loss")  # of its own, which students may have


def distill_stages(recipe: Recipe, roster: Roster) -> list[Stage]:
    """Everything up to the students that will be deployed."""
    owners = [teacher for teacher in roster.teachers if teacher.own_data]
    stages = [stage for owner in (None, *owners) for stage in data_stages(owner)]
    if "pool" in recipe.distillation.controls:  # before anything trains
        stages.append(Stage(_POOL, "distill", check_pool, needs=("data",)))
    asked = {source.teacher: source for source in all_sources(recipe, roster) if source.cached}
    for teacher in _assistants_last(recipe, roster):
        stages += teacher_stages(recipe, roster, teacher)
        stages += [_outputs_stage(asked[teacher])] if teacher in asked else []
    for student in roster.students:
        stages += student_stages(recipe, roster, student)
    return stages


def data_stages(owner: Model | None = None) -> list[Stage]:
    """The images, and what is wrong with them: the run's, or those that one teacher learns from."""
    gates = tuple(f"gates.{name}" for name in ("metadata_auc", "flip_drop", "near_duplicates", "accept"))
    data, audit = _data_names(owner)
    settings = f"{owner.section}.data" if owner else "data"
    return [
        Stage(
            data, "data" if owner is None else "teach", make_data,
            arguments={"owner": owner} if owner else {},
            reads=(settings, "seed", "task"),
            state=partial(data_state, owner=owner),
            outputs=_homed(owner, (SAMPLES, SUMMARY, SCAN)), cost=90, alone=True,
        ),
        Stage(
            audit, "data" if owner is None else "teach", audit_data,
            arguments={"owner": owner} if owner else {},
            reads=(*gates, "seed", "task"), needs=(data,),
            outputs=_homed(owner, (AUDIT,)), cost=15, stops=True,
        ),
    ]  # fmt: skip


def _data_names(owner: Model | None) -> tuple[str, str]:
    """Names of the two stages."""
    return (f"{_teaching(owner)}:data", f"{_teaching(owner)}:audit") if owner else ("data", "audit")


def _homed(owner: Model | None, names: tuple[str, ...]) -> tuple[str, ...]:
    return _in(owner, names) if owner else names


def _assistants_last(recipe: Recipe, roster: Roster) -> list[Model]:
    """The teachers, each after the one that it learns from."""

    def depth(name: str) -> int:
        other = recipe.all_teachers[name].learns_from
        return 1 + depth(other) if other else 0

    return sorted(roster.teachers, key=lambda teacher: depth(teacher.name))


def teacher_stages(recipe: Recipe, roster: Roster, teacher: Model) -> list[Stage]:
    """One training (an assistant's on what its teacher says), or weights that are adopted; then its calibration."""
    learns = bool(recipe.all_teachers[teacher.name].learns_from)
    sources = sources_for(recipe, roster, teacher) if learns else ()
    lesson = {"sources": sources, "views": shown_views(recipe, roster, learner=teacher)} if learns else {}
    return [
        Stage(
            _teaching(teacher), "teach", train_teacher,
            arguments={"model": teacher, **lesson},
            reads=(
                *_TRAINING, *_fields("training", _KNOBS), "seed",
                *_of_network(recipe, teacher),
                *_fields(teacher.section, ("weights", "fine_tune", "generated_class", "predictions", "box_weight")),
                *(
                    (*_fields("distillation", ("label_weight", "methods")), f"{teacher.section}.learns_from")
                    if learns else ()
                ),
            ),
            # what it learns from, and what every model is judged on
            needs=tuple(dict.fromkeys(
                ("audit", _data_names(teacher if teacher.own_data else None)[1], *_heard(sources))
            )),
            state=partial(weights_state, model=teacher),
            outputs=(*_in(teacher, TRAINED), teacher.logits),
            cost=12.0 * recipe.all_teachers[teacher.name].epochs,
            trial=True,
        ),
        Stage(
            f"{_teaching(teacher)}:choice", "teach", choose,
            arguments={"model": teacher, "candidates": (teacher,)},
            reads=("task",),
            needs=(_teaching(teacher),),
            outputs=(teacher.choice, teacher.predictions),
        ),
    ]  # fmt: skip


def student_stages(recipe: Recipe, roster: Roster, student: Model) -> list[Stage]:
    """Each seed of one arm, then the choice of what is deployed."""
    candidates = roster.trainings_of(student)
    heard = sources_for(recipe, roster, student)
    shown = shown_views(recipe, roster, learner=student) if heard else fresh_views(recipe)
    stages = [_training_stage(recipe, model, sources=heard, views=shown) for model in candidates]
    choice = Stage(
        f"choose:{student.key}", "distill", choose,
        arguments={"model": student, "candidates": candidates},
        reads=("task",),
        needs=tuple(stage.name for stage in stages),
        outputs=(*_in(student, CHOSEN), student.choice, student.predictions),
    )  # fmt: skip
    return [*stages, choice]


def cost_stages(recipe: Recipe, roster: Roster) -> list[Stage]:
    """What a teacher costs the first student's training; it has the machine to itself."""
    sources, views = sources_of(recipe, roster), shown_views(recipe, roster)
    model = roster.trainings_of(roster.distilled[0])[0]
    return [
        Stage(
            "distillation-cost", "bench", measure_cost,
            arguments={"model": model, "sources": sources, "views": views},
            reads=(
                *_TRAINING, *_fields("training", _KNOBS), *_of_network(recipe, model), "distillation.methods",
            ),
            needs=("audit", *_heard(sources), _training_name(model)),  # its number format is read
            outputs=(COST,),
            cost=15,
            alone=True,
        )
    ]  # fmt: skip


def _outputs_stage(source: Source) -> Stage:
    return Stage(
        f"{_teaching(source.teacher)}:outputs", "distill", cache_outputs,
        arguments={"source": source},
        reads=("augmentation", "task"),
        needs=(_teaching(source.teacher),),
        outputs=(source.outputs,),
        cost=15,
        trial=True,
    )  # fmt: skip


def _training_stage(recipe: Recipe, model: Model, *, sources: tuple[Source, ...], views: Views) -> Stage:
    return Stage(
        _training_name(model), "distill", train_student,
        arguments={"model": model, "sources": sources, "views": views},
        reads=(
            *(name for name in _TRAINING if model.arm != "plain" or name != "augmentation"),
            *_fields("training", _KNOBS), *_of_network(recipe, model), *_lesson(model),
        ),
        needs=("audit", *([_POOL] if model.arm == "pool" else _heard(sources))),
        outputs=(*_in(model, TRAINED), model.logits),
        cost=4.0 * recipe.students[model.name].epochs,
        trial=True,
    )  # fmt: skip


def _lesson(model: Model) -> tuple[str, ...]:
    """Where the recipe says what a student is taught."""
    if model.is_control:
        return ()
    if model.arm == DISTILLED:
        return _fields("distillation", ("label_weight", "methods"))
    return (f"distillation.variants.{model.arm}",)


def _of_network(recipe: Recipe, model: Model) -> tuple[str, ...]:
    """What a training reads of its network's section."""
    there = type(settings_of(recipe, model)).model_fields
    return _fields(model.section, tuple(name for name in _SCHEDULE if name in there))


def _heard(sources: tuple[Source, ...]) -> list[str]:
    """The stages after which there is a teacher to listen to."""
    return [f"{_teaching(s.teacher)}:outputs" if s.cached else _teaching(s.teacher) for s in sources]


def _training_name(model: Model) -> str:
    return f"student:{model.name}:seed{model.seed}:{model.arm}"


def _teaching(teacher: Model) -> str:
    """Name of a teacher's first stage; one that the user named must not meet another stage's name."""
    return teacher.name if teacher.name == TEACHER else f"teachers:{teacher.name}"


def _fields(section: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


def _in(model: Model, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{model.folder}/{name}" for name in names)
