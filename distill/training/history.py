"""What a training leaves beside its weights: ``history.json``. Torch-free."""

from distill.record import Frozen, Record

EPOCHS = "epochs.json"  # while it goes on
HISTORY = "history.json"


class Epoch(Frozen):
    """One epoch: mean training loss and its named parts, loss and score on the validation split.

    ``valid_score`` is the task's selection metric, by which the best epoch is chosen; higher is better.
    """

    epoch: int
    train_loss: float
    train_parts: dict[str, float]
    valid_loss: float
    valid_score: float


class History(Record):
    """Every epoch of one training; no epochs where finished weights were adopted.

    ``metric`` names ``valid_score``; ``best_epoch`` is that of ``weights.safetensors``; ``seconds`` is wall time;
    What was fitted instead has no epochs either, but ``fitted_score``: that of its search, the mean over the folds.
    ``precision`` is what it ran in (``fp32``, ``bf16``, ``fp16``), on which the weights depend.
    """

    metric: str
    epochs: tuple[Epoch, ...]
    best_epoch: int
    seconds: float
    precision: str = ""
    fitted_score: float | None = None
