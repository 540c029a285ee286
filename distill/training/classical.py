"""What fits the heads of :class:`students.embed.Embed`: scikit-learn's classifiers and LightGBM's, read out as tensors.

What a teacher says of an image is a share for every class. A classifier that takes labels alone sees the image once for every
class, weighted with its share; the nearest neighbours vote with their shares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import Tensor

from distill.optional import require
from distill.training.classical_trees import Numbers, boosted, columns_of, forest, lightgbm_trees, shares_of

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
        package: that only some users install.
    """

    make: Callable[[int], Taught]
    search: Mapping[str, tuple[Any, ...]]
    read: Read
    package: str = ""

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
    return {"weight": columns_of(weight.T, num_logits).T, "bias": columns_of(bias, num_logits)}


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
        "votes": shares_of(neighbours._y, num_logits),
        "ranks": np.ones(neighbours.n_neighbors),
    }


def _points(fitted: Taught, points: Numbers) -> dict[str, Numbers]:
    kept = points.astype(np.float32).astype(np.float64)
    scaler = fitted.scaler_
    return {"mean": scaler.mean_, "scale": scaler.scale_, "points": kept, "squares": (kept**2).sum(1)}


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
        read=forest,
    ),
    "gradient_boosting": Classifier(
        make=lambda seed: Taught(HistGradientBoostingClassifier(early_stopping=False, random_state=seed)),
        search={
            "max_iter": (100,), "learning_rate": (0.1,), "max_leaf_nodes": (7, 31), "min_samples_leaf": (20,),
            "l2_regularization": (0.0,),
        },
        read=boosted,
    ),
    "lightgbm": Classifier(
        make=lambda seed: Taught(
            require("lightgbm").LGBMClassifier(random_state=seed, n_jobs=1, deterministic=True, verbosity=-1)
        ),
        search={
            "n_estimators": (100,), "learning_rate": (0.1,), "num_leaves": (7, 31), "min_child_samples": (20,),
            "reg_lambda": (0.0,),
        },
        read=lightgbm_trees,
        package="lightgbm",
    ),
}  # fmt: skip
