"""The classifier that plays a detector before there is one: gradient boosting, cross-validated by group. Torch-free."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.evaluation.statistics import Floats, bootstrap_ci

Interval = tuple[float, float]
_NOTHING = -1.0  # stands for NaN: below every value a feature has


def out_of_fold(
    features: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    *,
    seed: int,
    others: Sequence[npt.NDArray[Any]] = (),
) -> list[Floats]:
    """Scores ``[N]`` of every sample by a probe that saw no sample of its group.

    Args:
        features: ``[N, F]``; NaN = nothing there.
        labels: ``[N]``, 1 = generated; at least two groups in each class.
        groups: ``[N]``.
        seed: of the probe.
        others: further ``[N, F]``, features of the same samples after something was done to them.

    Returns:
        The scores from ``features`` and then from each of ``others``, by the same probes, all of them trained on
        ``features``.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    tables = [np.nan_to_num(np.asarray(table, np.float64), nan=_NOTHING) for table in (features, *others)]
    scores = [np.zeros(len(labels)) for _ in tables]
    per_class = [len(np.unique(groups[labels == label])) for label in (0, 1)]
    for train, test in StratifiedGroupKFold(min(5, *per_class)).split(tables[0], labels, groups):
        probe = HistGradientBoostingClassifier(
            max_iter=50,
            max_features=0.5,  # so that it leans on all there is, not on the first of several equal clues
            random_state=seed,
            # balanced: otherwise each fold's share of fakes, which runs against its training share, sets the scores
            class_weight="balanced",
            min_samples_leaf=max(
                2, min(20, len(labels) // 20)
            ),  # its default, 20, sees nothing in small sets
        )
        probe.fit(tables[0][train], labels[train])
        for table, column in zip(tables, scores, strict=True):
            column[test] = probe.predict_proba(table[test])[:, 1].round(6)  # so that rounding ranks nothing
    return scores


def interval_of(
    labels: npt.NDArray[Any], scores: Floats, groups: npt.NDArray[Any], *, seed: int, level: float = 0.95
) -> Interval:
    """Interval of the AUC, groups as units; both classes must be there."""
    return bootstrap_ci(labels, scores, groups, seed=seed, level=level) or (0.0, 1.0)
