"""What is kept of a training after every epoch: its history, and the best weights so far."""

import logging
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from distill.errors import EdgeproofError
from distill.training.checkpoint import save_weights
from distill.training.distributed import gather
from distill.training.history import Epoch, History
from distill.training.loggers import numbers_of, write_metrics
from distill.training.malloc import keep_freed_memory
from distill.training.trainable import Trainable
from distill.training.unfinished import EPOCHS

Progress = Callable[[int, int], None]


@dataclass
class EpochRecord(Callback):
    """After each epoch: validation loss and score into the history, and the best weights so far onto disk."""

    folder: Path
    sidecar: dict[str, Any]
    progress: Progress | None = None
    precision: str = ""
    patience: int = 0
    history: list[Epoch] = field(default_factory=list)
    metric: str = ""
    seconds: float = 0.0
    threads: int = field(default_factory=torch.get_num_threads)
    _started: float = field(default_factory=time.monotonic)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrived in a process that was started for one device: set what the stage's own process has set."""
        self.__dict__.update(state)
        quiet()
        keep_freed_memory()
        torch.set_num_threads(self.threads)
        ignore_warnings()

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A training that was killed after it had run out of patience only finishes writing."""
        trainer.should_stop = self._out_of_patience()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Seed dropout by epoch, so that a resumed epoch draws what an uninterrupted one would."""
        torch.manual_seed(int(self.sidecar["seed"]) * 100_003 + trainer.current_epoch)

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Tell how far the training is."""
        if self.progress and trainer.is_global_zero:
            self.progress(trainer.global_step, int(trainer.estimated_stepping_batches))

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Record the epoch."""
        module = _trainable(pl_module)
        outputs = gather(module.valid_outputs)
        logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        module.valid_outputs.clear()
        means = {name: float(value) / module.steps for name, value in module.parts.items()}
        module.parts, module.steps = {}, 0
        loss, epoch = sum(means.values()), trainer.current_epoch + 1
        if not logits.isfinite().all():
            raise EdgeproofError(
                f"{self.folder}: logits of validation images became infinite or nan in epoch {epoch}, expected finite "
                f"numbers; lower learning_rate (now {module.schedule.learning_rate:g})"
            )
        entry = Epoch(
            epoch=epoch,
            train_loss=loss,
            train_parts=means,
            valid_loss=module.task.loss(logits, labels),
            valid_score=module.task.score(labels.numpy(), logits.numpy()),
        )
        best = max((item.valid_score for item in self.history), default=-math.inf)
        self.history.append(entry)
        self.metric = module.task.metric
        if trainer.is_global_zero:
            if entry.valid_score > best:
                sidecar = {**self.sidecar, "epoch": entry.epoch}
                save_weights(module.judged, self.folder / "weights.safetensors", sidecar=sidecar)
            self.summary().write(self.folder / EPOCHS)
            write_metrics(self.summary(), self.folder)
            for logger in trainer.loggers:
                logger.log_metrics(numbers_of(entry, metric=self.metric), step=epoch)
        trainer.should_stop = self._out_of_patience()

    def summary(self) -> History:
        """What ``history.json`` holds."""
        return History(
            metric=self.metric,
            epochs=tuple(self.history),
            best_epoch=self._best().epoch,
            seconds=self._seconds(),
            precision=self.precision,
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"history": [entry.model_dump() for entry in self.history], "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history = [Epoch.model_validate(entry) for entry in state_dict["history"]]
        self.seconds = state_dict["seconds"]

    def _best(self) -> Epoch:
        return max(self.history, key=lambda entry: entry.valid_score)

    def _out_of_patience(self) -> bool:
        return (
            bool(self.patience and self.history) and len(self.history) - self._best().epoch >= self.patience
        )

    def _seconds(self) -> float:
        return self.seconds + time.monotonic() - self._started


def _trainable(module: lightning.LightningModule) -> Trainable:
    if not isinstance(module, Trainable):
        raise TypeError(f"expected a Trainable, found {type(module).__name__}")
    return module


def quiet() -> None:
    """Warnings and errors alone."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)


def ignore_warnings() -> None:
    """Those of Lightning that are no news here."""
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings(
        "ignore", message=".*eval mode at the start of training.*"
    )  # frozen features stay in it
