"""What a run will take, told before it starts: images, trainings, time and memory, measured on a few steps of each network."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from distill.data.samples import UNLABELLED_SPLIT, Dataset
from distill.pipeline.stage import Stage
from distill.recipe import DataSettings, Recipe
from distill.roster import Model, Roster, settings_of
from distill.stages.cost import training_thread_count
from distill.stages.data import make_data
from distill.stages.sources import Source
from distill.stages.student import train_student
from distill.stages.teacher import cache_outputs, train_teacher

if TYPE_CHECKING:
    from students.embed import Embed

StepSeconds = Callable[[Recipe, Model], float]
"""Seconds of one training step of a network here, forward and backward."""

_OVERHEAD = 1.5  # of a step around what is measured: reading, augmenting, optimizer, validation
_FORWARD = 1 / 3  # of a step is its forward pass
_PROCESS_MB = 900  # of a process that trains, without images
_MEASURED_S = 1.0
_FIT_S = 20.0  # of a head's search; it depends on the head, and is not measured
_READ_S = 0.005  # an image that is read once, decoded and hashed


@dataclass(frozen=True)
class Images:
    """How many there are to train on, to teach on without a label, and to judge on."""

    train: int
    unlabelled: int
    judged: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.train + self.unlabelled + self.judged


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Attributes:
        images: of it.
        trainings: of all networks, arms and seeds.
        seconds: of the whole run.
        memory_mb: of all its processes.
        stages: those of the run, each with its seconds as its cost.
    """

    images: Images
    trainings: int
    seconds: float
    memory_mb: float
    stages: tuple[Stage, ...]


def count_images(settings: DataSettings, dataset: Dataset | None) -> Images:
    """From the list of the user's images, or from the settings of simulated ones; splits that are missing are cut."""
    if dataset is None:
        scenes = Counter(settings.simulate.scenes.model_dump() if settings.simulate else {})
        counts = Counter({split: 2 * number for split, number in scenes.items()})
    else:
        counts = Counter(sample.split or "train" for sample in dataset.samples)
        for split, share in (("test", settings.test_share), ("valid", settings.valid_share)):
            if not counts[split]:
                counts[split] = round(counts["train"] * share)
                counts["train"] -= counts[split]
    train, unlabelled = counts.pop("train", 0), counts.pop(UNLABELLED_SPLIT, 0)
    return Images(train=train, unlabelled=unlabelled, judged=counts.total())


def forecast(
    recipe: Recipe,
    roster: Roster,
    stages: Sequence[Stage],
    *,
    images: Images,
    processes: int,
    step_seconds: StepSeconds | None = None,
) -> Forecast:
    """Measure a few steps of each network that trains, and add up.

    Args:
        recipe: the recipe.
        roster: what it asks for.
        stages: those that will run; what they cost beside training is known from the demo, in seconds.
        images: of :func:`count_images`.
        processes: stages that run side by side.
        step_seconds: for tests.
    """
    measure, steps = step_seconds or measured_step, dict[tuple[str, str], float]()

    def seconds_of(model: Model) -> float:
        key = (model.section, model.architecture)
        if key not in steps:
            steps[key] = measure(recipe, model)
        return steps[key]

    costed = tuple(_costed(stage, recipe, images, seconds_of) for stage in stages)
    alone = sum(stage.cost for stage in costed if stage.alone)
    beside = sum(stage.cost for stage in costed if not stage.alone)
    trained = [t for t in recipe.all_teachers.values() if not (t.finished or t.predictions)]
    return Forecast(
        images=images,
        trainings=len(trained) + len(roster.trainings),
        seconds=alone + beside / processes,
        memory_mb=processes * (_PROCESS_MB + _pixels_mb(recipe, roster, images)),
        stages=costed,
    )


def measured_step(recipe: Recipe, model: Model) -> float:
    """Seconds of one step of an untrained copy, in the number format that it will train in."""
    from distill.models import untrained
    from distill.training.checkpoint import pick_device
    from distill.training.pace import step_seconds
    from distill.training.precision import possible_precisions, training_threads

    settings = recipe.training
    with training_thread_count(training_threads(settings)):
        found = step_seconds(
            untrained(recipe, model),
            batch_size=settings_of(recipe, model).batch_size,
            size=model.preprocess.size,
            device=pick_device(settings.accelerator),
            budget=_MEASURED_S,
        )
    possible = possible_precisions(settings.precision, accelerator=settings.accelerator)
    return min(found["fp32" if name == "fp32" else "bf16"] for name in possible)


def _costed(stage: Stage, recipe: Recipe, images: Images, seconds_of: Callable[[Model], float]) -> Stage:
    """A stage that trains or asks a network, with its seconds as its cost; any other as it is."""
    model, source = stage.arguments.get("model"), stage.arguments.get("source")
    trains = stage.action in (train_teacher, train_student)
    if trains and isinstance(model, Model) and not model.black_box:
        return replace(stage, cost=_training_cost(recipe, model, images, seconds_of(model)))
    if stage.action is make_data and recipe.data.path:
        return replace(stage, cost=1 + images.total * _READ_S)
    if stage.action is cache_outputs and isinstance(source, Source) and not source.teacher.black_box:
        batch, taught = settings_of(recipe, source.teacher).batch_size, images.train + images.unlabelled
        step = seconds_of(source.teacher) * _FORWARD * _OVERHEAD
        return replace(stage, cost=taught * source.views.count / batch * step)
    return stage


def _training_cost(recipe: Recipe, model: Model, images: Images, step: float) -> float:
    settings = settings_of(recipe, model)
    shown = images.train + (
        0 if model.is_teacher else images.unlabelled
    )  # every arm of a student has as many steps
    head = _fitted(recipe, model)
    if head:  # each image is embedded once
        once = (shown + images.judged) / settings.batch_size * step * _OVERHEAD + _FIT_S
        steps = head.fine_tune_epochs * shown / settings.batch_size
        return once + steps * step / _FORWARD * _OVERHEAD
    judging = images.judged / settings.batch_size * step * _FORWARD * _OVERHEAD
    if model.is_teacher and recipe.all_teachers[model.name].finished:
        return judging
    epochs = settings.epochs * (-(-shown // settings.batch_size) * step * _OVERHEAD)
    return epochs + judging * (1 + settings.epochs / 3)  # the validation split after every epoch


def _fitted(recipe: Recipe, model: Model) -> "Embed | None":
    from distill.check_fitted import fitted_student

    return fitted_student(recipe, model)


def _pixels_mb(recipe: Recipe, roster: Roster, images: Images) -> float:
    """Decoded images that one process keeps: each split once for every way in which networks see it."""
    specs = {model.preprocess for model in roster.models}
    held = (
        min(count * spec.size**2 * 3 / 2**20, recipe.data.memory_mb)
        for spec in specs
        for count in (images.train + images.unlabelled, images.judged)
    )
    return sum(held)
