"""Which teachers students listen to, what is read of them, and which views of an image both see."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from distill.check import pair_of
from distill.methods import Method, build_method, features_of, heard_by
from distill.recipe import Recipe
from distill.roster import Model, Roster
from distill.training.views import Views, views_of


@dataclass(frozen=True)
class Source:
    """A teacher that students listen to.

    Attributes:
        teacher: the model.
        features: names of what is read of it beside its logits, in whatever arm.
        reads: those of them that are read; in one arm see :func:`heard_in`.
        cached: asked once for every view; otherwise at every step.
        clean: it sees images before augmentation.
        views: those that it is asked for where it is cached.
    """

    teacher: Model
    features: tuple[str, ...]
    reads: tuple[str, ...]
    cached: bool
    clean: bool
    views: Views

    @property
    def outputs(self) -> str:
        """File with what it said, relative to the run folder, where it is cached."""
        return f"{self.teacher.folder}/outputs.safetensors"


def sources_of(recipe: Recipe, roster: Roster) -> tuple[Source, ...]:
    """The teachers that the recipe's methods listen to."""
    heard: dict[str, set[str]] = {}
    for student in (model for model in roster.students if not model.is_control):
        for name, features in features_of(methods_for(recipe, student, roster.teachers)).items():
            heard.setdefault(name, set()).update(features)
    return tuple(
        _source(recipe, roster, teacher, tuple(sorted(heard[teacher.name])))
        for teacher in roster.teachers
        if teacher.name in heard
    )


def heard_in(recipe: Recipe, roster: Roster, student: Model, sources: Iterable[Source]) -> tuple[Source, ...]:
    """The teachers that a student listens to in its arm, and what its methods read of each."""
    if student.is_control:
        return ()
    heard = features_of(methods_for(recipe, student, roster.teachers))
    return tuple(
        replace(source, reads=heard[source.teacher.name])
        for source in sources
        if source.teacher.name in heard
    )


def shown_views(recipe: Recipe, roster: Roster) -> Views:
    """The views that students are taught on."""
    heard = {name for method in recipe.distillation.every_method for name in heard_by(method)}
    settings = [recipe.all_teachers[teacher.name] for teacher in roster.teachers if teacher.name in heard]
    return views_of(
        flips=recipe.training.horizontal_flip,
        augmented=bool(recipe.augmentation.active),
        cached=any(item.source == "cached" and item.sees == "view" for item in settings),
        count=recipe.training.views,
        seed=recipe.seed,
    )


def fresh_views(recipe: Recipe) -> Views:
    """The views of a student without a teacher: new ones every epoch.

    Nothing ties it to the few views that a cache holds, of which it would tire early: a control must be as strong as it
    can be made.
    """
    flips, augmented = recipe.training.horizontal_flip, bool(recipe.augmentation.active)
    return views_of(flips=flips, augmented=augmented, cached=False, count=1, seed=recipe.seed)


def methods_for(recipe: Recipe, student: Model, teachers: Iterable[Model]) -> list[Method]:
    """The methods of a student's arm, built anew; projections draw their weights from torch's generator."""
    teachers = tuple(teachers)
    return [
        build_method(method, pair=pair_of(recipe, method, student=student, teachers=teachers))
        for method in recipe.distillation.lesson(student.arm).methods
    ]


def _source(recipe: Recipe, roster: Roster, teacher: Model, features: tuple[str, ...]) -> Source:
    settings = recipe.all_teachers[teacher.name]
    flips, clean = recipe.training.horizontal_flip, settings.sees == "clean"
    shown = shown_views(recipe, roster)
    return Source(
        teacher=teacher,
        features=features,
        reads=features,
        cached=settings.source == "cached",
        clean=clean,
        views=Views(count=2 if flips else 1, flips=flips) if clean else shown,
    )
