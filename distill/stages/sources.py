"""Which teachers students listen to, what is read of them, and which views of an image both see."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from distill.check import lessons, pair_of
from distill.methods import Method, build_method, features_of, heard_by
from distill.recipe import Recipe
from distill.roster import Model, Roster
from distill.training.views import Views, views_of


@dataclass(frozen=True)
class Source:
    """A teacher that students listen to.

    Attributes:
        teacher: the model.
        features: names of what is read of it beside its logits, by whomever.
        reads: those of them that are read by one learner.
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
    """The teachers that the first of the deployed students listens to."""
    return sources_for(recipe, roster, roster.distilled[0])


def sources_for(recipe: Recipe, roster: Roster, learner: Model) -> tuple[Source, ...]:
    """The teachers that a student in its arm, or an assistant, listens to, and what is read of each."""
    heard = features_of(methods_for(recipe, learner, roster.teachers))
    return tuple(
        replace(source, reads=heard[source.teacher.name])
        for source in all_sources(recipe, roster)
        if source.teacher.name in heard
    )


def all_sources(recipe: Recipe, roster: Roster) -> tuple[Source, ...]:
    """The teachers that anybody listens to, each with all that is read of it."""
    heard: dict[str, set[str]] = {}
    for learner in roster.models:
        for name, features in features_of(methods_for(recipe, learner, roster.teachers)).items():
            heard.setdefault(name, set()).update(features)
    return tuple(
        _source(recipe, teacher, tuple(sorted(heard[teacher.name])))
        for teacher in roster.teachers
        if teacher.name in heard
    )


def shown_views(recipe: Recipe, roster: Roster, *, learner: Model | None = None) -> Views:
    """The views that students, or an assistant, are taught on."""
    heard = _heard(recipe, learner or roster.distilled[0])
    settings = [recipe.all_teachers[teacher.name] for teacher in roster.teachers if teacher.name in heard]
    return _views(recipe, cached=any(item.source == "cached" and item.sees == "view" for item in settings))


def fresh_views(recipe: Recipe) -> Views:
    """The views of a student without a teacher: new ones every epoch.

    Nothing ties it to the few views that a cache holds, of which it would tire early: a control must be as strong as it
    can be made.
    """
    return _views(recipe, cached=False)


def _views(recipe: Recipe, *, cached: bool) -> Views:
    return views_of(
        flips=recipe.training.horizontal_flip,
        augmented=bool(recipe.augmentation.active),
        cached=cached,
        count=recipe.training.views,
        seed=recipe.seed,
    )


def _heard(recipe: Recipe, learner: Model) -> set[str]:
    """Names of the teachers that a student, or an assistant, listens to."""
    return {name for method in lessons(recipe, learner) for name in heard_by(method)}


def methods_for(recipe: Recipe, student: Model, teachers: Iterable[Model]) -> list[Method]:
    """What a student (or an assistant) is taught by, built anew; projections draw their weights from torch's generator."""
    teachers = tuple(teachers)
    return [
        build_method(method, pair=pair_of(recipe, method, student=student, teachers=teachers))
        for method in lessons(recipe, student)
    ]


def _source(recipe: Recipe, teacher: Model, features: tuple[str, ...]) -> Source:
    settings = recipe.all_teachers[teacher.name]
    flips, clean, cached = (
        recipe.training.horizontal_flip,
        settings.sees == "clean",
        settings.source == "cached",
    )
    if teacher.black_box:  # one answer an image, mirrored or not
        flips = False
    return Source(
        teacher=teacher,
        features=features,
        reads=features,
        cached=cached,
        clean=clean,
        views=Views(count=2 if flips else 1, flips=flips) if clean else _views(recipe, cached=cached),
    )
