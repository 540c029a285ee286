"""Training: one model, a list of objectives. Lightning owns the loop, precision, devices and checkpoints."""

import hashlib
import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from distill.errors import EdgeproofError
from distill.files import write_text
from distill.methods.method import Method
from distill.methods.objective import Batch, Objective, Step
from distill.preprocess import PreprocessSpec
from distill.recipe import Schedule, TrainingSettings
from distill.task import Task
from distill.training.batches import BatchDataset, plain_loader, train_loader
from distill.training.checkpoint import SafetensorsIO, save_weights
from distill.training.distributed import gather, plain_errors, relayed, strategy
from distill.training.history import Epoch, History
from distill.training.malloc import keep_freed_memory
from distill.training.normalize import normalize
from distill.training.precision import choose_precision
from distill.training.teachers import Online

Progress = Callable[[int, int], None]
_WARMUP_SHARE = 0.1
_RESUME, _EPOCHS, _KEY = "resume.safetensors", "epochs.json", "resume.key"  # of an unfinished training


@dataclass(frozen=True)
class TrainingData:
    """What one training reads; ``valid`` never carries a teacher. ``online`` teachers are asked at every step."""

    train: BatchDataset
    valid: BatchDataset
    spec: PreprocessSpec
    online: Mapping[str, Online] = field(default_factory=dict)


class Trainable(lightning.LightningModule):
    """A model and its objectives; a student alone differs from the distilled one in the objectives alone."""

    def __init__(
        self,
        model: nn.Module,
        *,
        task: Task,
        objectives: Sequence[Objective],
        schedule: Schedule,
        spec: PreprocessSpec,
        online: Mapping[str, Online] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.objectives = nn.ModuleList(objectives)
        self.schedule = schedule
        self.spec = spec
        self.online = dict(online or {})  # no submodules: they are neither trained nor saved
        self.valid_outputs: list[tuple[Tensor, Tensor]] = []
        self.parts: dict[str, Tensor] = {}
        self.steps = 0

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Sum of the objectives; their means over the epoch go to the history."""
        said = {
            name: teacher.outputs(batch.views.get(name, batch.images))
            for name, teacher in self.online.items()
        }
        batch = batch._replace(
            images=normalize(batch.images, spec=self.spec), teachers={**batch.teachers, **said}, views={}
        )
        step = Step(epoch=self.current_epoch, epochs=self.schedule.epochs, step=self.global_step)
        output = self.model(batch.images)
        losses: list[tuple[str, Tensor]] = [
            (str(each.name), each(output, batch, step)) for each in self.objectives
        ]
        for name, value in losses:  # names may repeat: two hints
            self.parts[name] = self.parts.get(name, torch.zeros((), device=value.device)) + value.detach()
        self.steps += 1
        return torch.stack([value for _, value in losses]).sum()

    def on_fit_start(self) -> None:
        """Bring the teachers to where the student is."""
        for teacher in self.online.values():
            teacher.to(self.device)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Collect logits and labels."""
        output = self.model(normalize(batch.images, spec=self.spec))
        self.valid_outputs.append((output.logits.float().cpu(), batch.labels.cpu()))

    def configure_optimizers(self) -> Any:
        """AdamW (fused), linear warm-up, cosine decay to zero."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        decayed = [parameter for parameter in trained if parameter.ndim > 1]
        plain = [parameter for parameter in trained if parameter.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.schedule.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=self.schedule.learning_rate,
            fused=True,
        )
        total = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, total=total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Keep the gradients' memory: first touch of fresh memory is what makes CPU training slow."""
        optimizer.zero_grad(set_to_none=False)


def _rate(step: int, *, total: int) -> float:
    warmup = max(1, round(total * _WARMUP_SHARE))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


@dataclass
class EpochRecord(Callback):
    """After each epoch: validation loss and score into the history, and the best weights so far onto disk."""

    folder: Path
    sidecar: dict[str, Any]
    progress: Progress | None = None
    history: list[Epoch] = field(default_factory=list)
    metric: str = ""
    seconds: float = 0.0
    threads: int = field(default_factory=torch.get_num_threads)
    _started: float = field(default_factory=time.monotonic)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrived in a process that was started for one device: set what the stage's own process has set."""
        self.__dict__.update(state)
        _quiet()
        keep_freed_memory()
        torch.set_num_threads(self.threads)
        _ignore_warnings()

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
        if not (math.isfinite(loss) and logits.isfinite().all()):
            raise EdgeproofError(
                f"{self.folder}: the training loss became {loss:g} in epoch {epoch}, expected finite numbers; "
                f"lower learning_rate (now {module.schedule.learning_rate:g})"
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
                save_weights(module.model, self.folder / "weights.safetensors", sidecar=sidecar)
            self.summary().write(self.folder / _EPOCHS)

    def summary(self) -> History:
        """What ``history.json`` holds."""
        best = max(self.history, key=lambda entry: entry.valid_score)
        return History(
            metric=self.metric, epochs=tuple(self.history), best_epoch=best.epoch, seconds=self._seconds()
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"history": [entry.model_dump() for entry in self.history], "seconds": self._seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history = [Epoch.model_validate(entry) for entry in state_dict["history"]]
        self.seconds = state_dict["seconds"]

    def _seconds(self) -> float:
        return self.seconds + time.monotonic() - self._started


def _trainable(module: lightning.LightningModule) -> Trainable:
    if not isinstance(module, Trainable):
        raise TypeError(f"expected a Trainable, found {type(module).__name__}")
    return module


def fit(
    model: nn.Module,
    *,
    task: Task,
    objectives: Sequence[Objective],
    data: TrainingData,
    schedule: Schedule,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    sidecar: dict[str, Any],
    progress: Progress | None = None,
    workers: int = 0,
    total: int = 0,
) -> History:
    """Train ``model`` and leave ``weights.safetensors`` (best epoch), ``last.safetensors`` and ``history.json``.

    A killed training goes on after its last whole epoch and ends with the same weights; one that is asked for with
    other settings, losses or images starts again. ``total`` is the number of
    images in an epoch if it is not that of ``data.train``: for a student alone at equal budget.

    Returns:
        What is also written as ``history.json``.

    Raises:
        EdgeproofError: a loss that is not finite, a killed process, or a method that cannot work on several devices.
    """
    _quiet()
    _prepare(objectives, data=data.train, devices=settings.devices)
    module = Trainable(
        model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        task=task, objectives=objectives, schedule=schedule, spec=data.spec, online=data.online,
    )  # fmt: skip
    train = train_loader(data.train, batch_size=schedule.batch_size, seed=seed, workers=workers, total=total)
    valid = plain_loader(data.valid, batch_size=256, workers=workers)
    _forget_other(folder, key=_training_key(module, data=data, settings=settings, seed=seed, total=total))
    with relayed(progress, devices=settings.devices) as tell:
        record = EpochRecord(folder=folder, sidecar={**sidecar, "seed": seed}, progress=tell)
        trainer = _trainer(settings, schedule=schedule, record=record)
        _run(trainer, module, train=train, valid=valid, folder=folder)
    history = History.read(folder / _EPOCHS)  # written by whichever process trained
    sidecar = {**record.sidecar, "epoch": len(history.epochs)}
    save_weights(model, folder / "last.safetensors", sidecar=sidecar)
    history.write(folder / "history.json")
    for name in (_RESUME, _EPOCHS, _KEY):
        (folder / name).unlink(missing_ok=True)
    return history


def _prepare(objectives: Sequence[Objective], *, data: BatchDataset, devices: int) -> None:
    for method in objectives:
        if isinstance(method, Method):
            if method.needs.memory and devices > 1:
                raise EdgeproofError(
                    f"distillation.methods: {method.name} keeps a memory over the data set in one process, "
                    f"found training.devices = {devices}; expected 1"
                )
            method.prepare(data.pixels.samples)


def _training_key(
    module: Trainable, *, data: TrainingData, settings: TrainingSettings, seed: int, total: int
) -> str:
    """What an unfinished training must have been asked for, so that it may go on."""
    train = data.train
    parts = [
        module.schedule, settings, seed, total, data.spec, train.views, train.augmentation, len(train),
        [(name, tuple(value.shape)) for name, value in module.state_dict().items()],
        [(type(each).__qualname__, sorted(_options(each).items())) for each in module.objectives],
        [(name, cached.key) for name, cached in train.teachers.items()],
        sorted(data.online),
    ]  # fmt: skip
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def _options(objective: nn.Module) -> dict[str, Any]:
    """An objective's own plain values, such as its weight and temperature."""
    plain = (bool, int, float, str, tuple)
    return {
        name: value
        for name, value in vars(objective).items()
        if isinstance(value, plain) and not name.startswith("_") and name != "training"
    }


def _forget_other(folder: Path, *, key: str) -> None:
    """Delete the state of an unfinished training of something else, and note what this one is."""
    known = folder / _KEY
    if known.is_file() and known.read_text(encoding="utf-8") != key:
        for name in (_RESUME, _EPOCHS):
            (folder / name).unlink(missing_ok=True)
    write_text(known, key)


def _trainer(settings: TrainingSettings, *, schedule: Schedule, record: EpochRecord) -> lightning.Trainer:
    keep = ModelCheckpoint(
        dirpath=record.folder,
        filename=Path(_RESUME).stem,
        save_top_k=1,
        every_n_epochs=1,
        enable_version_counter=False,
    )
    keep.FILE_EXTENSION = Path(_RESUME).suffix
    return lightning.Trainer(
        max_epochs=schedule.epochs,
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=strategy(settings.devices),
        use_distributed_sampler=False,  # our batches know their process, and repeat no image to fill up
        precision=choose_precision(settings.precision, accelerator=settings.accelerator),
        callbacks=[record, keep],
        plugins=[SafetensorsIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=record.folder,
    )


def _run(
    trainer: lightning.Trainer,
    module: Trainable,
    *,
    train: DataLoader[Batch],
    valid: DataLoader[Batch],
    folder: Path,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    resume = folder / _RESUME
    handler = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings(), plain_errors():
            _ignore_warnings()
            trainer.fit(module, train, valid, ckpt_path=resume if resume.is_file() else None)
    except SystemExit:
        # Lightning turns Ctrl-C into exit(1) and leaves SIGINT ignored; the caller must see the Ctrl-C
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _ignore_warnings() -> None:
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
