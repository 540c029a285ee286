"""The one value that every teacher and student returns."""

from typing import NamedTuple

from torch import Tensor


class ModelOutput(NamedTuple):
    """What a detector says about a batch.

    Attributes:
        logits: ``[N]`` for the binary task (positive = generated), ``[N, K]`` for K classes.
        features: name → ``[N, C, H, W]``, ordered from shallow to deep, so that hint, attention and
            relational methods work on any pair of models without forward hooks.
        boxes: teachers with a face localiser only: ``[N, 4]`` as x1, y1, x2, y2 in pixels of the input.
        box_logits: confidence logit of the box, ``[N]``.
        auxiliary: named extra tensors that only a model's own training loss reads.
        attention: networks with spatial attention only: level → ``[N, 1, h, w]`` between 0 and 1.

    """

    logits: Tensor
    features: dict[str, Tensor]
    boxes: Tensor | None = None
    box_logits: Tensor | None = None
    auxiliary: dict[str, Tensor] | None = None
    attention: dict[str, Tensor] | None = None


def squeeze_binary(scores: Tensor) -> Tensor:
    """A head's ``[N, K]`` as ``ModelOutput.logits``: ``[N]`` for K = 1, unchanged otherwise."""
    # Not squeeze(1) alone: exported with K > 1 it makes an ONNX Squeeze that runtimes refuse to load.
    return scores.squeeze(1) if scores.shape[1] == 1 else scores
