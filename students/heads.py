"""Classical classifiers as modules: what scikit-learn has fitted, as tensors, so that one graph holds backbone and head.

A head's tensors take the shapes of what is loaded into it: how many support vectors, neighbours or nodes there are is known
only when it is fitted.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

SMOOTHING = 0.5  # of a share of votes, so that none is 0 or 1: Jeffreys' prior


class Head(nn.Module):
    """Embeddings ``[N, D]`` → logits ``[N, K]``, K = 1 for the binary task; all zeros until it is fitted.

    Distances, thresholds and counts of votes mean nothing in 8 bits: it stays in float in every form.
    """

    computes_in_float = True

    def hold(self, tensors: Mapping[str, Tensor]) -> None:
        """Take fitted tensors, one for each buffer."""
        take_shapes(self, tensors)
        self.load_state_dict(dict(tensors))

    def _keep(self, **tensors: Tensor) -> None:
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)


class Linear(Head):
    """``x Wᵀ + b``: logistic regression and the linear support vector machine, a scaler in front folded in."""

    weight: Tensor
    bias: Tensor

    def __init__(self, width: int, num_logits: int) -> None:
        super().__init__()
        self._keep(weight=torch.zeros(num_logits, width), bias=torch.zeros(num_logits))

    def forward(self, embeddings: Tensor) -> Tensor:
        """The decision function."""
        return functional.linear(embeddings, self.weight, self.bias)


class _Scaled(Head):
    """A head that measures distances between standardized embeddings."""

    mean: Tensor
    scale: Tensor
    points: Tensor
    squares: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self._keep(
            mean=torch.zeros(width),
            scale=torch.ones(width),
            points=torch.zeros(1, width),
            squares=torch.zeros(1),
        )

    def _distances(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Squares of the embeddings' own lengths ``[N, 1]``, and what must be subtracted to give squared distances."""
        x = (embeddings - self.mean) / self.scale
        return x.square().sum(1, keepdim=True), 2 * (x @ self.points.T) - self.squares


class Rbf(_Scaled):
    """A support vector machine with Gaussian kernel; for K > 2 classes, pairs of classes vote, as scikit-learn has it.

    ``decision = Σ coefficients · exp(-γ |x - points|²) + bias``, a column for each pair ``i < j``. Their votes and
    confidences are then added up class by class (``decision_function_shape="ovr"``).
    """

    gamma: Tensor
    coefficients: Tensor
    bias: Tensor

    def __init__(self, width: int, num_logits: int) -> None:
        super().__init__(width)
        self.num_logits = num_logits
        pairs = max(1, num_logits * (num_logits - 1) // 2)
        self._keep(gamma=torch.ones(()), coefficients=torch.zeros(1, pairs), bias=torch.zeros(pairs))

    def forward(self, embeddings: Tensor) -> Tensor:
        """The decision function; two classes with two logits share one."""
        own, less = self._distances(embeddings)
        kernel = (-self.gamma * (own - less).clamp(min=0)).exp()
        decision = functional.linear(kernel, self.coefficients.T, self.bias)
        if self.num_logits == 1:
            return decision
        return both(decision) if self.num_logits == 2 else votes_of_pairs(decision, classes=self.num_logits)


class Neighbours(_Scaled):
    """The log-odds of what the nearest training images are; ``ranks`` is as long as there are neighbours to ask."""

    votes: Tensor
    ranks: Tensor

    def __init__(self, width: int, num_logits: int) -> None:
        super().__init__(width)
        self._keep(votes=torch.full((1, num_logits), 0.5), ranks=torch.ones(1))

    def forward(self, embeddings: Tensor) -> Tensor:
        """With smoothing; a point's vote is its class, or what a teacher says of it."""
        count = self.ranks.shape[0]
        _, less = self._distances(embeddings)
        nearest = less.topk(count, dim=1).indices
        shares = functional.embedding(nearest, self.votes).mean(1)
        return log_odds(shares, count=count)


class Trees(Head):
    """Decision trees, all nodes of all trees in one table; leaves lead to themselves.

    Node m sends ``x`` to ``left[m]`` if ``x[feature[m]] <= threshold[m]``, otherwise to ``right[m]``; ``levels`` is as long
    as the longest way from a root to a leaf.
    """

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    levels: Tensor

    def __init__(self, width: int, num_logits: int) -> None:
        super().__init__()
        one = torch.zeros(1, dtype=torch.int64)
        self._keep(
            roots=one, feature=one.clone(), left=one.clone(), right=one.clone(), threshold=torch.zeros(1),
            value=torch.zeros(1, num_logits), levels=torch.ones(1),
        )  # fmt: skip

    def leaves(self, embeddings: Tensor) -> Tensor:
        """Values of the leaves that each embedding ends in, ``[N, trees, K]``."""
        node = self.roots.expand(embeddings.shape[0], -1)
        for _ in range(self.levels.shape[0]):
            asked = embeddings.gather(1, _rows(self.feature, node))
            goes_left = asked <= _rows(self.threshold, node)
            node = torch.where(goes_left, _rows(self.left, node), _rows(self.right, node))
        return functional.embedding(node, self.value)


class Forest(Trees):
    """A random forest: the mean of its trees' probabilities, as log-odds with smoothing."""

    def forward(self, embeddings: Tensor) -> Tensor:
        """Log-odds."""
        return log_odds(self.leaves(embeddings).mean(1), count=self.roots.shape[0])


class Boosted(Trees):
    """Gradient boosting: the sum of its trees' values and of what it starts from."""

    start: Tensor

    def __init__(self, width: int, num_logits: int) -> None:
        super().__init__(width, num_logits)
        self._keep(start=torch.zeros(num_logits))

    def forward(self, embeddings: Tensor) -> Tensor:
        """The raw prediction."""
        return self.leaves(embeddings).sum(1) - (-self.start)


HEADS: Final[dict[str, type[Any]]] = {
    "logistic": Linear,
    "linear_svm": Linear,
    "rbf_svm": Rbf,
    "knn": Neighbours,
    "random_forest": Forest,
    "gradient_boosting": Boosted,
    "lightgbm": Boosted,
}


def log_odds(shares: Tensor, *, count: int) -> Tensor:
    """Shares p ``[N, K]`` of ``count`` votes → ``log((count p + a) / (count (1 - p) + a))``, with a the smoothing.

    For K > 1 ``log(count p + a)``, of which a softmax gives the smoothed shares.
    """
    for_it = (shares * count - (-SMOOTHING)).log()
    if shares.shape[1] > 1:
        return for_it
    return for_it - ((count + SMOOTHING) - shares * count).log()


def both(decision: Tensor) -> Tensor:
    """One column ``[N, 1]`` of log-odds as the logits of two classes, ``[N, 2]``."""
    return torch.cat([decision / -2, decision / 2], dim=1)


def votes_of_pairs(decision: Tensor, *, classes: int) -> Tensor:
    """``[N, K (K - 1) / 2]`` → ``[N, K]``: the pairs that a class wins, and by less than one vote with what confidence."""
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    sides = torch.zeros(len(pairs), classes)
    for row, (first, second) in enumerate(pairs):
        sides[row, first], sides[row, second] = 1.0, -1.0
    sides = sides.to(decision)
    won = (decision > 0).to(decision.dtype)
    votes = won @ sides.clamp(min=0) - ((won - 1) @ (-sides).clamp(min=0))
    confidence = decision @ sides
    return votes - (-(confidence / (3 * (confidence.abs() - (-1)))))


def take_shapes(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give every head in ``module`` buffers of the shapes that ``tensors`` (by their names in ``module``) have."""
    for name, head in module.named_modules():
        if isinstance(head, Head):
            for key, buffer in head.named_buffers(recurse=False):
                found = tensors.get(f"{name}.{key}" if name else key)
                if found is not None and found.ndim == buffer.ndim and found.shape != buffer.shape:
                    setattr(head, key, buffer.new_zeros(found.shape))


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """``table[index]`` of a vector, in one operator that every runtime has."""
    return table.index_select(0, index.reshape(-1)).reshape(index.shape)
