"""From scores of K classes to a table: who is right, and what is called unknown. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.attribution.record import Attributed
from distill.evaluation.metrics import roc_auc
from distill.evaluation.statistics import bootstrap_ci, bootstrap_mean

Floats = npt.NDArray[np.float64]
KEEPS = 0.95  # of the validation images of known classes


@dataclass(frozen=True)
class Known:
    """Images of learned classes: numbers of their classes ``[N]``, and their groups."""

    numbers: npt.NDArray[np.int64]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Unlearned:
    """Images of generators that nobody learned: the generators' numbers ``[N]``, how many there are, and groups."""

    numbers: npt.NDArray[np.int64]
    generators: int
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """Scores ``[N, K]`` of validation, test and unlearned images: probabilities, or correlations."""

    valid: Floats
    test: Floats
    unlearned: Floats


def attributed(name: str, scores: Scored, *, test: Known, unlearned: Unlearned) -> Attributed:
    """Judge one way to tell; the threshold keeps :data:`KEEPS` of the validation images, and sees no other."""
    threshold = float(np.quantile(scores.valid.max(axis=1), 1 - KEEPS))
    best, kept = scores.test.argmax(axis=1), scores.test.max(axis=1) >= threshold
    hits = best == test.numbers
    refused = scores.unlearned.max(axis=1) < threshold
    there = len(refused) > 0
    auc, interval = _unknown_auc(scores, test=test, unlearned=unlearned) if there else (None, None)
    return Attributed(
        model=name,
        accuracy=float(hits.mean()), accuracy_ci=bootstrap_mean(hits, test.groups),
        threshold=threshold, kept=float(kept.mean()),
        right=float((hits & kept).mean()), right_ci=bootstrap_mean(hits & kept, test.groups),
        refused=float(refused.mean()) if there else None,
        refused_ci=bootstrap_mean(refused, unlearned.groups) if there else None,
        unknown_auc=auc, unknown_auc_ci=interval,
        matrix=_matrix(scores, threshold, test=test, unlearned=unlearned),
    )  # fmt: skip


def _unknown_auc(
    scores: Scored, *, test: Known, unlearned: Unlearned
) -> tuple[float, tuple[float, float] | None]:
    labels = np.r_[np.zeros(len(scores.test)), np.ones(len(scores.unlearned))].astype(np.int64)
    doubt = -np.r_[scores.test.max(axis=1), scores.unlearned.max(axis=1)]
    return roc_auc(labels, doubt), bootstrap_ci(labels, doubt, [*test.groups, *unlearned.groups])


def _matrix(
    scores: Scored, threshold: float, *, test: Known, unlearned: Unlearned
) -> tuple[tuple[int, ...], ...]:
    classes = scores.test.shape[1]
    counts = np.zeros((classes + unlearned.generators, classes + 1), dtype=np.int64)
    for found, rows in ((scores.test, test.numbers), (scores.unlearned, classes + unlearned.numbers)):
        named = np.where(found.max(axis=1) >= threshold, found.argmax(axis=1), classes)
        np.add.at(counts, (rows, named), 1)
    return tuple(tuple(map(int, row)) for row in counts)


def numbers_of(names: Sequence[str], order: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of every name in ``order``; all of them are there."""
    places = {name: place for place, name in enumerate(order)}
    return np.array([places[name] for name in names], dtype=np.int64)
