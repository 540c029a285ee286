"""Fitted trees as tensors of :class:`students.heads.Trees`: scikit-learn's forests and boosting, and LightGBM's."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]


def forest(fitted: Any, num_logits: int) -> dict[str, Numbers]:
    """The trees of a random forest, with their probabilities."""
    trees = [tree.tree_ for tree in fitted.estimator_.estimators_]
    return _table(
        [
            _Tree(
                feature=tree.feature,
                threshold=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                leaf=tree.children_left < 0,
                value=shares_of(tree.value[:, 0, :], num_logits),
            )
            for tree in trees
        ]
    )


def boosted(fitted: Any, num_logits: int) -> dict[str, Numbers]:
    """The trees of histogram gradient boosting, and what they start from."""
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
                    value=columns_of(value, num_logits),
                )
            )
    start = np.asarray(boosting._baseline_prediction, dtype=np.float64).reshape(-1)
    return {**_table(trees), "start": columns_of(start, num_logits)}


def lightgbm_trees(fitted: Any, num_logits: int) -> dict[str, Numbers]:
    """LightGBM's; what they start from stands in the leaves of the first."""
    dumped = fitted.estimator_.booster_.dump_model()
    columns = dumped["num_tree_per_iteration"]
    trees = [
        _grown(tree["tree_structure"], column=number % columns, columns=columns, num_logits=num_logits)
        for number, tree in enumerate(dumped["tree_info"])
    ]
    return {**_table(trees), "start": columns_of(np.zeros(columns), num_logits)}


def _grown(root: dict[str, Any], *, column: int, columns: int, num_logits: int) -> "_Tree":
    """A tree that is told node by node, as a table."""
    nodes = [root]
    children: list[tuple[int, int]] = []
    for node in nodes:  # grows while it is walked
        children.append((len(nodes), len(nodes) + 1) if "left_child" in node else (-1, -1))
        nodes += [node[side] for side in ("left_child", "right_child") if side in node]
    value = np.zeros((len(nodes), columns))
    value[:, column] = [node.get("leaf_value", 0.0) for node in nodes]
    left, right = np.array(children, dtype=np.int64).T
    return _Tree(
        feature=np.array([node.get("split_feature", 0) for node in nodes]),
        threshold=np.array([node.get("threshold", 0.0) for node in nodes]),
        left=left,
        right=right,
        leaf=left < 0,
        value=columns_of(value, num_logits),
    )


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


def columns_of(values: Numbers, num_logits: int) -> Numbers:
    """One column of log-odds ``[..., 1]`` as the logits of two classes where the task has two; any other as it is."""
    return (
        np.concatenate([values / -2, values / 2], axis=-1)
        if (num_logits, values.shape[-1]) == (2, 1)
        else values
    )


def shares_of(values: Numbers, num_logits: int) -> Numbers:
    """Of two classes with one logit, the share of the second, ``[..., 1]``."""
    return values[..., 1:] if num_logits == 1 else values
