"""Fits a classical head to embeddings; its hyper-parameters by scikit-learn's cross-validated search over groups."""

import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from distill.errors import EdgeproofError, unknown_name
from distill.optional import require
from distill.task import Task
from distill.training.classical import CLASSIFIERS, Taught
from students.embed import Embed

Progress = Callable[[int, int], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """What a head is fitted to.

    Attributes:
        embeddings: float32 ``[N, D]``.
        shares: ``[N, C]`` of C classes (2 for one logit), each row summing to 1: one 1 for a plain label.
        groups: ``[N]``; no group is in two folds.
        names: of the classes, for messages.
    """

    embeddings: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float64]
    groups: Sequence[str]
    names: tuple[str, ...]

    @property
    def likeliest(self) -> npt.NDArray[np.int64]:
        """The class of each image ``[N]``, by which folds are balanced and a try is scored."""
        found: npt.NDArray[np.int64] = self.shares.argmax(1)
        return found


@dataclass(frozen=True)
class Fit:
    """What the search found: hyper-parameters, and the mean score over the folds (None where there was nothing to choose)."""

    chosen: Mapping[str, Any]
    score: float | None


def grid_of(student: Embed) -> dict[str, tuple[Any, ...]]:
    """Hyper-parameter → the values to choose from: the head's own, where the recipe gives none.

    Raises:
        EdgeproofError: a name that the head has not, no value, one that scikit-learn refuses, or a package that is missing.
    """
    classifier = CLASSIFIERS[student.head_name]
    if classifier.package:
        try:
            require(classifier.package)
        except EdgeproofError as error:
            raise EdgeproofError(
                f"options.head: {student.head_name} needs what is not there: {error}"
            ) from None
    for name, values in student.search.items():
        if name not in classifier.search:
            kind = f"hyper-parameter of {student.head_name}"
            raise EdgeproofError(
                f"options.search: {unknown_name(kind=kind, given=name, choices=classifier.search)}"
            )
        if not values:
            raise EdgeproofError(f"options.search.{name}: found no value, expected one or more")
        for value in values:
            _check_value(classifier.make(0).estimator, name, value)
    return {**classifier.search, **student.search}


def _check_value(estimator: Any, name: str, value: Any) -> None:
    if not hasattr(estimator, "_parameter_constraints"):  # not scikit-learn's own
        if isinstance(value, bool | str) or value < 0:
            raise EdgeproofError(
                f"options.search.{name}: found {value!r}, expected a number that is not negative"
            )
        return
    try:
        estimator.set_params(**{name: value})._validate_params()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise EdgeproofError(f"options.search.{name}: found {value!r} ({reason})") from None


def fit_head(
    student: Embed, lesson: Lesson, *, task: Task, seed: int, threads: int, progress: Progress | None = None
) -> Fit:
    """Fit the head of ``student`` in place.

    Raises:
        EdgeproofError: a class without an image, too few groups of a class for the folds, or too few images for the head.
    """
    classifier, grid = CLASSIFIERS[student.head_name], grid_of(student)
    _check_classes(lesson)
    _check_neighbours(grid, len(lesson.embeddings), folds=student.folds)
    with threadpool_limits(limits=threads), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        if all(len(values) == 1 for values in grid.values()):
            chosen, score = {name: values[0] for name, values in grid.items()}, None
            fitted = classifier.make(seed)
            fitted.estimator.set_params(**chosen)
            fitted.fit(lesson.embeddings, lesson.likeliest, lesson.shares)
        else:
            fitted, chosen, score = _searched(student, lesson, grid, task=task, seed=seed, progress=progress)
    if any(issubclass(item.category, ConvergenceWarning) for item in caught):
        log.warning("%s: some fits stopped before they converged", student.head_name)
    student.head.hold(classifier.tensors(fitted, num_logits=student.num_logits))
    return Fit(chosen, score)


def _searched(
    student: Embed,
    lesson: Lesson,
    grid: Mapping[str, tuple[Any, ...]],
    *,
    task: Task,
    seed: int,
    progress: Progress | None,
) -> tuple[Taught, dict[str, Any], float]:
    folds = folds_of(lesson, count=student.folds, seed=seed)
    total = len(folds) * math.prod(len(values) for values in grid.values())
    search = GridSearchCV(
        CLASSIFIERS[student.head_name].make(seed),
        {f"estimator__{name}": list(values) for name, values in grid.items()},
        scoring=_Score(task, progress, total),
        cv=folds,
        error_score="raise",
    )
    search.fit(lesson.embeddings, lesson.likeliest, shares=lesson.shares)
    chosen = {name.removeprefix("estimator__"): value for name, value in search.best_params_.items()}
    return search.best_estimator_, chosen, float(search.best_score_)


class _Score:
    """The task's own score of a try on a fold, and how far the search is."""

    def __init__(self, task: Task, progress: Progress | None, total: int) -> None:
        self.task, self.progress, self.total, self.done = task, progress, total, 0

    def __call__(self, fitted: Taught, embeddings: Any, labels: Any) -> float:
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)
        logits = fitted.logits(embeddings)
        if self.task.num_logits == 2:
            logits = np.stack([-logits / 2, logits / 2], axis=1)
        return float(self.task.score(labels, logits))


def folds_of(lesson: Lesson, *, count: int, seed: int) -> list[tuple[Any, Any]]:
    """Rows to fit to and rows to score on, for each fold; a group is in one fold, and every class in all.

    Raises:
        EdgeproofError: a class that a fold would lack.
    """
    labels, groups = lesson.likeliest, np.asarray(lesson.groups)
    for number, name in enumerate(lesson.names):
        found = len(np.unique(groups[labels == number]))
        if found < count:
            raise EdgeproofError(
                f"options.folds: class {name!r} has images of {found} groups to train on, expected at least one for each of "
                f"{count} folds; fewer folds, or one value for each hyper-parameter in options.search"
            )
    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    folds = list(splitter.split(lesson.embeddings, labels, groups))
    for place, (rest, held) in enumerate(folds, start=1):
        for part in (rest, held):
            missing = sorted({*range(len(lesson.names))} - {*labels[part].tolist()})
            if missing:
                raise EdgeproofError(
                    f"options.folds: fold {place} of {count} has no image of class {lesson.names[missing[0]]!r}, expected "
                    "every class in every fold; fewer folds, or one value for each hyper-parameter in options.search"
                )
    return folds


def _check_classes(lesson: Lesson) -> None:
    there = {*lesson.likeliest.tolist()}
    for number, name in enumerate(lesson.names):
        if number not in there:
            raise EdgeproofError(
                f"class {name!r}: found no image to train on, expected some of each of {', '.join(lesson.names)}"
            )


def _check_neighbours(grid: Mapping[str, tuple[Any, ...]], images: int, *, folds: int) -> None:
    searched = any(len(values) > 1 for values in grid.values())
    least = images - -(-images // folds) if searched else images
    most = max(grid.get("n_neighbors", (1,)))
    if most > least:
        raise EdgeproofError(
            f"options.search.n_neighbors: found {most}, expected at most the {least} images that a head is fitted to"
        )
