"""scikit-learn's classifiers for the heads of :class:`students.embed.Embed`: fitted to shares of classes, read out as tensors.

What a teacher says of an image is a share for every class. A classifier that takes labels alone sees the image once for every
class, weighted with its share; the nearest neighbours vote with their shares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import Tensor

Numbers = npt.NDArray[Any]
_LEAST_SHARE = 1e-3  # a class of a smaller share is left out
_LEAST = 1e-6  # probability, for its logarithm


class Taught(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that learns shares of classes instead of labels.

    Args:
        estimator: scikit-learn's.
        scaled: standardize the embeddings first.
    """

    def __init__(self, estimator: Any, *, scaled: bool = False) -> None:
        self.estimator = estimator
        self.scaled = scaled

    def fit(self, X: Numbers, y: Numbers, shares: Numbers) -> Self:  # noqa: N803 (scikit-learn's names)
        """Fit to embeddings ``X [N, D]`` and ``shares [N, C]`` of C classes; ``y [N]`` is what folds are balanced by."""
        self.classes_ = np.arange(shares.shape[1])
        self.scaler_: Any = StandardScaler().fit(X) if self.scaled else None
        self.estimator_ = clone(self.estimator)
        scaled = self._scaled(X)
        if isinstance(self.estimator_, KNeighborsRegressor):
            self.estimator_.fit(scaled, shares)
            return self
        rows, classes = np.nonzero(shares > _LEAST_SHARE)
        whole = bool((shares[rows, classes] == 1.0).all())  # plain labels are fitted as plain labels
        weights = {} if whole else {"sample_weight": shares[rows, classes]}
        self.estimator_.fit(scaled[rows], classes, **weights)
        return self

    def logits(self, embeddings: Numbers) -> Numbers:
        """The decision function or log-odds ``[N]`` of two classes, or logits ``[N, C]`` of more."""
        scaled = self._scaled(embeddings)
        if hasattr(self.estimator_, "decision_function"):
            return np.asarray(self.estimator_.decision_function(scaled))
        asked = getattr(self.estimator_, "predict_proba", self.estimator_.predict)
        log_shares = np.log(np.clip(asked(scaled), _LEAST, 1.0))
        return np.asarray(log_shares[:, 1] - log_shares[:, 0] if log_shares.shape[1] == 2 else log_shares)

    def _scaled(self, embeddings: Numbers) -> Numbers:
        found: Numbers = self.scaler_.transform(embeddings) if self.scaler_ else embeddings
        return found


Read = Callable[[Taught, int], dict[str, Numbers]]


@dataclass(frozen=True)
class Classifier:
    """How one head is fitted.

    Attributes:
        make: seed → the classifier.
        search: hyper-parameter → values to choose from by default; those with one value may be searched if asked for.
        read: a fitted classifier and the number of logits → the head's tensors.
    """

    make: Callable[[int], Taught]
    search: Mapping[str, tuple[Any, ...]]
    read: Read

    def tensors(self, fitted: Taught, *, num_logits: int) -> dict[str, Tensor]:
        """The tensors of the head: float32, indices int64."""
        found = self.read(fitted, num_logits)
        return {name: _tensor(values) for name, values in found.items()}


def _tensor(values: Numbers) -> Tensor:
    kind = np.int64 if np.asarray(values).dtype.kind in "iu" else np.float32
    return torch.from_numpy(np.array(values, dtype=kind, order="C"))


def _linear(fitted: Taught, num_logits: int) -> dict[str, Numbers]:
    """With the scaler folded in: ``W (x - m) / s + b``."""
    estimator, scaler = fitted.estimator_, fitted.scaler_
    weight = estimator.coef_ / scaler.scale_
    bias = estimator.intercept_ - weight @ scaler.mean_
    return {"weight": _columns(weight.T, num_logits).T, "bias": _columns(bias, num_logits)}


def _rbf(fitted: Taught, num_logits: int) -> dict[str, Numbers]:
    svc = fitted.estimator_
    # libsvm lists one class after the other: a float32 sum in that order grows to thousands before it comes back
    mixed = np.random.default_rng(0).permutation(len(svc.support_vectors_))
    return {
        **_points(fitted, svc.support_vectors_[mixed]),
        "gamma": np.asarray(svc._gamma),
        "coefficients": _pairs(svc)[mixed],
        "bias": svc.intercept_,
    }


def _pairs(svc: Any) -> Numbers:
    """Libsvm's ``dual_coef_ [C - 1, S]`` as a column for each pair of classes, ``[S, C (C - 1) / 2]``."""
    dual, classes = svc.dual_coef_, len(svc.classes_)
    if classes == 2:
        return np.asarray(dual.T)
    owner = np.repeat(np.arange(classes), svc.n_support_)
    columns = []
    for first in range(classes):
        for second in range(first + 1, classes):
            columns.append(
                np.where(owner == first, dual[second - 1], 0) + np.where(owner == second, dual[first], 0)
            )
    return np.stack(columns, axis=1)


def _neighbours(fitted: Taught, num_logits: int) -> dict[str, Numbers]:
    neighbours = fitted.estimator_
    return {
        **_points(fitted, neighbours._fit_X),
        "votes": _shares(neighbours._y, num_logits),
        "ranks": np.ones(neighbours.n_neighbors),
    }


def _points(fitted: Taught, points: Numbers) -> dict[str, Numbers]:
    kept = points.astype(np.float32).astype(np.float64)
    scaler = fitted.scaler_
    return {"mean": scaler.mean_, "scale": scaler.scale_, "points": kept, "squares": (kept**2).sum(1)}


def _forest(fitted: Taught, num_logits: int) -> dict[str, Numbers]:
    trees = [tree.tree_ for tree in fitted.estimator_.estimators_]
    return _table(
        [
            _Tree(
                feature=tree.feature,
                threshold=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                leaf=tree.children_left < 0,
                value=_shares(tree.value[:, 0, :], num_logits),
            )
            for tree in trees
        ]
    )


def _boosted(fitted: Taught, num_logits: int) -> dict[str, Numbers]:
    boosting = fitted.estimator_
    columns = boosting.n_trees_per_iteration_
    trees = []
    for iteration in boosting._predictors:
        for column, predictor in enumerate(iteration):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            value = np.zeros((len(nodes), columns))
            value[leaf, column] = nodes["value"][leaf]
            trees.append(
                _Tree(
                    feature=nodes["feature_idx"],
                    threshold=nodes["num_threshold"],
                    left=nodes["left"].astype(np.int64),
                    right=nodes["right"].astype(np.int64),
                    leaf=leaf,
                    value=_columns(value, num_logits),
                )
            )
    start = np.asarray(boosting._baseline_prediction, dtype=np.float64).reshape(-1)
    return {**_table(trees), "start": _columns(start, num_logits)}


@dataclass(frozen=True)
class _Tree:
    """Nodes of one tree, M of them, the root first."""

    feature: Numbers
    threshold: Numbers
    left: Numbers
    right: Numbers
    leaf: Numbers
    value: Numbers


def _table(trees: list[_Tree]) -> dict[str, Numbers]:
    """All trees in one table, see :class:`students.heads.Trees`."""
    starts = np.cumsum([0, *(len(tree.leaf) for tree in trees)])
    parts: dict[str, list[Numbers]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }
    for tree, start in zip(trees, starts, strict=False):
        own = np.arange(len(tree.leaf))
        parts["feature"].append(np.where(tree.leaf, 0, tree.feature))
        parts["threshold"].append(_rounded_down(np.where(tree.leaf, 0.0, tree.threshold)))
        for name, child in (("left", tree.left), ("right", tree.right)):
            parts[name].append(start + np.where(tree.leaf, own, child))
        parts["value"].append(tree.value)
    return {
        **{name: np.concatenate(values) for name, values in parts.items()},
        "roots": starts[:-1],
        "levels": np.ones(max(map(_depth, trees))),
    }


def _depth(tree: _Tree) -> int:
    reached, level = np.zeros(1, dtype=np.int64), 0
    while len(reached := reached[~tree.leaf[reached]]):
        reached = np.concatenate([tree.left[reached], tree.right[reached]]).astype(np.int64)
        level += 1
    return level


def _rounded_down(thresholds: Numbers) -> Numbers:
    """As float32, by which every float32 falls on the side where it was: ``x <= t`` for the largest of them up to t."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _columns(values: Numbers, num_logits: int) -> Numbers:
    """One column of log-odds ``[..., 1]`` as the logits of two classes where the task has two; any other as it is."""
    return (
        np.concatenate([values / -2, values / 2], axis=-1)
        if (num_logits, values.shape[-1]) == (2, 1)
        else values
    )


def _shares(values: Numbers, num_logits: int) -> Numbers:
    """Of two classes with one logit, the share of the second, ``[..., 1]``."""
    return values[..., 1:] if num_logits == 1 else values


CLASSIFIERS: Final[dict[str, Classifier]] = {
    "logistic": Classifier(
        make=lambda seed: Taught(LogisticRegression(max_iter=2000), scaled=True),
        search={"C": (0.001, 0.01, 0.1, 1.0, 10.0)},
        read=_linear,
    ),
    "linear_svm": Classifier(
        make=lambda seed: Taught(LinearSVC(max_iter=10_000, random_state=seed), scaled=True),
        search={"C": (0.001, 0.01, 0.1, 1.0)},
        read=_linear,
    ),
    "rbf_svm": Classifier(
        make=lambda seed: Taught(SVC(cache_size=500), scaled=True),
        search={"C": (1.0, 10.0), "gamma": ("scale",)},
        read=_rbf,
    ),
    "knn": Classifier(
        make=lambda seed: Taught(KNeighborsRegressor(), scaled=True),
        search={"n_neighbors": (5, 15, 45)},
        read=_neighbours,
    ),
    "random_forest": Classifier(
        make=lambda seed: Taught(RandomForestClassifier(random_state=seed)),
        search={"n_estimators": (100,), "max_depth": (12,), "min_samples_leaf": (1, 5), "max_features": ("sqrt",)},
        read=_forest,
    ),
    "gradient_boosting": Classifier(
        make=lambda seed: Taught(HistGradientBoostingClassifier(early_stopping=False, random_state=seed)),
        search={
            "max_iter": (100,), "learning_rate": (0.1,), "max_leaf_nodes": (7, 31), "min_samples_leaf": (20,),
            "l2_regularization": (0.0,),
        },
        read=_boosted,
    ),
}  # fmt: skip
