"""Training: one model, a list of objectives. Lightning owns the loop, precision, devices and checkpoints."""

import signal
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

from distill.errors import EdgeproofError
from distill.methods.method import Method
from distill.methods.objective import Batch, Objective
from distill.preprocess import PreprocessSpec
from distill.task import Task
from distill.training.batches import BatchDataset, plain_loader, train_loader
from distill.training.checkpoint import SafetensorsIO, pick_device, save_weights
from distill.training.distributed import (
    one_first,
    plain_errors,
    process_group,
    processes,
    relayed,
)
from distill.training.epochs import EpochRecord, Progress, ignore_warnings, quiet
from distill.training.head import head_of
from distill.training.history import History
from distill.training.loggers import open_loggers
from distill.training.pace import choose_faster, step_seconds
from distill.training.precision import LIGHTNING, possible_precisions
from distill.training.settings import Schedule, TrainingSettings
from distill.training.teachers import Online
from distill.training.trainable import Trainable
from distill.training.unfinished import EPOCHS, RESUME, forget, forget_other, hash_of, options_of


@dataclass(frozen=True)
class TrainingData:
    """What one training reads; ``valid`` never carries a teacher. ``online`` teachers are asked at every step."""

    train: BatchDataset
    valid: BatchDataset
    spec: PreprocessSpec
    online: Mapping[str, Online] = field(default_factory=dict)


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
    precision_file: Path | None = None,
) -> History:
    """Train ``model`` and leave ``weights.safetensors`` (best epoch), ``last.safetensors`` and ``history.json``.

    A killed training goes on after its last whole epoch and ends with the same weights; one that is asked for with
    other settings, losses or images starts again. ``total`` is the number of
    images in an epoch if it is not that of ``data.train``: for a student alone at equal budget.
    ``precision_file`` keeps which number format was the faster one, for trainings that must agree on it.

    Returns:
        What is also written as ``history.json``.

    Raises:
        EdgeproofError: a loss that is not finite, a process that is gone, a folder that machines do not share, or a
            method, option or number format that cannot work here.
    """
    quiet()
    _check(model, objectives, data=data, schedule=schedule, settings=settings, task=task)
    _prepare(objectives, data=data.train, devices=settings.devices)
    model.train()  # Lightning would leave a network that was evaluated before in evaluation mode
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = Trainable(
        model, task=task, objectives=objectives, schedule=schedule, spec=data.spec, online=data.online,
        samples=data.train.pixels.samples, folder=folder, seed=seed, compiled=settings.compile,
    )  # fmt: skip
    train = train_loader(
        data.train, batch_size=schedule.batch_size, seed=seed, workers=workers, total=total,
        balanced=settings.balanced,
    )  # fmt: skip
    valid = plain_loader(data.valid, batch_size=256, workers=workers)
    with (
        process_group(settings.accelerator, folder=folder),
        relayed(progress, devices=settings.devices) as tell,
    ):
        with one_first() as is_first:
            precision = _precision(
                model, settings, batch_size=schedule.batch_size, size=data.spec.size,
                file=precision_file or folder / "precision.json",
            )  # fmt: skip
            if is_first:
                key = _training_key(module, data=data, settings=settings, seed=seed, total=total)
                forget_other(folder, key=hash_of([key, precision]))
        record = EpochRecord(
            folder=folder, sidecar={**sidecar, "seed": seed, "precision": precision}, progress=tell,
            precision=precision, patience=schedule.patience,
        )  # fmt: skip
        trainer = _trainer(settings, schedule=schedule, record=record)
        _run(trainer, module, train=train, valid=valid, folder=folder)
        if module.average:
            model.load_state_dict(module.judged.state_dict())
        with one_first() as is_first:
            return _finish(model, record=record) if is_first else History.read(folder / "history.json")


def _finish(model: nn.Module, *, record: EpochRecord) -> History:
    """Write what a training leaves, and delete what served to go on with it."""
    history = History.read(record.folder / EPOCHS)  # written by whichever process trained
    sidecar = {**record.sidecar, "epoch": len(history.epochs)}
    save_weights(model, record.folder / "last.safetensors", sidecar=sidecar)
    history.write(record.folder / "history.json")
    forget(record.folder)
    return history


def _check(
    model: nn.Module,
    objectives: Sequence[Objective],
    *,
    data: TrainingData,
    schedule: Schedule,
    settings: TrainingSettings,
    task: Task,
) -> None:
    """Raise what can be said before anything is done."""
    possible_precisions(settings.precision, accelerator=settings.accelerator)
    if schedule.frozen_epochs:
        head_of(model)
    if schedule.mixup and data.train.teachers:
        raise EdgeproofError(
            f"mixup: given {schedule.mixup:g} with cached answers of {', '.join(data.train.teachers)}; expected teachers "
            "that are asked at every step, since a mixed image is taught by what is said of that very image"
        )
    if schedule.mixup and task.num_logits > 1:
        raise EdgeproofError(
            f"mixup: given {schedule.mixup:g} for {task.num_logits} classes, expected 0: it mixes labels of one logit"
        )


def _precision(
    model: nn.Module, settings: TrainingSettings, *, batch_size: int, size: int, file: Path
) -> str:
    """The number format: the recipe's, or the faster one."""
    found = possible_precisions(settings.precision, accelerator=settings.accelerator)
    if len(found) == 1:
        return found[0]
    device = pick_device(settings.accelerator)
    measure = partial(step_seconds, batch_size=batch_size, size=size, device=device)
    return choose_faster(model, file=file, batch_size=batch_size, size=size, measure=measure)


def _prepare(objectives: Sequence[Objective], *, data: BatchDataset, devices: int) -> None:
    here, machines, _ = processes(devices)
    for method in objectives:
        if isinstance(method, Method):
            if method.needs.memory and here * machines > 1:
                raise EdgeproofError(
                    f"distillation.methods: {method.name} keeps a memory over the data set in one process, "
                    f"found training.devices = {here * machines}; expected 1"
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
        [(type(each).__qualname__, sorted(options_of(each).items())) for each in module.objectives],
        [(name, cached.key) for name, cached in train.teachers.items()],
        sorted(data.online),
    ]  # fmt: skip
    return hash_of(parts)


def _trainer(settings: TrainingSettings, *, schedule: Schedule, record: EpochRecord) -> lightning.Trainer:
    keep = ModelCheckpoint(
        dirpath=record.folder,
        filename=Path(RESUME).stem,
        save_top_k=1,
        every_n_epochs=1,
        enable_version_counter=False,
    )
    keep.FILE_EXTENSION = Path(RESUME).suffix
    devices, num_nodes, strategy = processes(settings.devices)
    return lightning.Trainer(
        max_epochs=schedule.epochs,
        accelerator=settings.accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy=strategy,
        use_distributed_sampler=False,  # our batches know their process, and repeat no image to fill up
        precision=LIGHTNING[record.precision],
        accumulate_grad_batches=schedule.accumulate,
        gradient_clip_val=schedule.clip or None,
        callbacks=[record, keep],
        plugins=[SafetensorsIO()],
        logger=open_loggers(settings.loggers, folder=record.folder) or False,
        log_every_n_steps=1,  # nothing is logged by step; more than an epoch has is warned of
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
    resume = folder / RESUME
    handler = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings(), plain_errors():
            ignore_warnings()
            trainer.fit(module, train, valid, ckpt_path=resume if resume.is_file() else None)
    except SystemExit:
        # Lightning turns Ctrl-C into exit(1) and leaves SIGINT ignored; the caller must see the Ctrl-C
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None
