"""Distillation from Python: a teacher and a student of one's own, on a folder or a torch ``Dataset``."""

import copy
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from distill.data.items import open_items, split_items
from distill.data.pixels import PixelSource, open_pixels
from distill.data.samples import Dataset
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.files import at_home
from distill.methods import Method, Pair, build_method, features_of, heard_by
from distill.preprocess import PreprocessSpec
from distill.probe import Parts, parts_of
from distill.recipe import LossSettings, MethodSettings, Schedule, TrainingSettings, explain
from distill.task import BINARY, Task
from distill.training.batches import BatchDataset
from distill.training.checkpoint import load_weights, pick_device
from distill.training.fit import TrainingData, fit
from distill.training.history import History
from distill.training.inference import predict, write_cache
from distill.training.teachers import Cached, CacheKey, freeze
from distill.training.views import Views, views_of
from distill.wrapped import wrap
from students.embed import Embed
from students.options import OptionError

_MEMORY_MB = 500
MethodLike = str | Mapping[str, Any] | MethodSettings


@dataclass(frozen=True)
class Distilled:
    """A trained student and what belongs to it.

    Attributes:
        student: the module that was given (wrapped, if it was a plain one), with the weights of its best epoch, in
            evaluation mode on the CPU.
        preprocess: how images become its input.
        task: what it answers.
        calibration: of its logits, fitted on the validation images.
        threshold: on the probability of *generated*, chosen on them; None for K classes.
        history: every epoch; ``history.epochs[i].valid_score``.
    """

    student: nn.Module
    preprocess: PreprocessSpec
    task: Task
    calibration: Calibration
    threshold: float | None
    history: History


def distil(
    *,
    student: nn.Module,
    data: str | Path | Any,
    teacher: nn.Module | Mapping[str, nn.Module] | None = None,
    methods: Sequence[MethodLike] = ("logit_mse",),
    preprocess: PreprocessSpec | None = None,
    teacher_preprocess: PreprocessSpec | None = None,
    task: Task = BINARY,
    label_weight: float = 1.0,
    schedule: Schedule | None = None,
    settings: TrainingSettings | None = None,
    valid_share: float = 0.15,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Distilled:
    """Train ``student`` on the labels and on what ``teacher`` says of the same views.

    Args:
        student: normalized float ``[N, 3, S, S]`` → logits ``[N]``, ``[N, 1]`` or ``[N, K]``, or a
            ``ModelOutput``; see :func:`distill.wrap` for features. It is trained in place.
        data: a folder in any layout that ``edgeproof list layouts`` names, or a torch ``Dataset`` of (image, label):
            Pillow images, uint8 arrays ``[H, W, 3]`` or tensors ``[3, H, W]``; label 0 is real, or the first of the
            task's classes.
        teacher: one module, or several by name (methods then name theirs in ``teachers``); frozen, and asked once of
            every view. Without one the student learns from the labels, and from methods that need no teacher.
        methods: names, or mappings such as ``{"name": "soft_bce", "temperature": 4.0, "weight": 0.5}``.
        preprocess: how images become the student's input.
        teacher_preprocess: the teachers' own, where they see more of an image.
        task: what both answer.
        label_weight: weight of the ground-truth loss where there is a teacher.
        schedule: how long, how fast and with what: epochs, batch size, learning rate, optimizer, ...
        settings: precision, devices and other knobs of a training.
        valid_share: of the groups, where the data has no validation split of its own.
        seed: of the order of images, views and splits.
        out: folder for weights, history and what the teacher said; a killed training goes on there.
        progress: is told of steps done, and how many there are.

    Raises:
        EdgeproofError: data, a method or a module that does not fit, in one line.
    """
    spec, knobs = preprocess or PreprocessSpec(), settings or TrainingSettings()
    if isinstance(student, Embed):
        raise EdgeproofError(
            "student: Embed is fitted, not trained; expected a module with gradients, or a recipe that names it (distill.run)"
        )
    network = _wrapped(student, spec, task)
    teachers = {
        name: _wrapped(module, teacher_preprocess or spec, task) for name, module in _named(teacher).items()
    }
    terms = _methods(
        methods if teachers else [item for item in map(_settings, methods) if not heard_by(item)],
        network, teachers, task=task, sees=(spec, teacher_preprocess or spec),
    )  # fmt: skip
    source = _open(data, task=task, valid_share=valid_share, seed=seed)
    targets = task.targets(source.listed.split("train"))
    truth = task.ground_truth(LossSettings(), labels=targets, weight=label_weight if terms else 1.0)
    with ExitStack() as stack:
        folder = (
            Path(out) if out else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeproof-")))
        )
        folder.mkdir(parents=True, exist_ok=True)
        views = views_of(flips=knobs.horizontal_flip, augmented=False, cached=True, count=1, seed=seed)
        cached = _ask(
            teachers, terms, source, spec=teacher_preprocess or spec, views=views, folder=folder, knobs=knobs
        )
        train = BatchDataset(source.pixels("train", spec), teachers=cached, views=views, targets=targets)
        valid = source.pixels("valid", spec)
        history = fit(
            network,
            task=task,
            objectives=[truth, *terms],
            data=TrainingData(train=train, valid=BatchDataset(valid), spec=spec),
            schedule=schedule or Schedule(),
            settings=knobs,
            seed=seed,
            folder=folder,
            sidecar={"seed": seed, "preprocess": spec.model_dump(mode="json")},
            progress=progress,
        )
        load_weights(network, folder / "weights.safetensors")
    network.eval().cpu()
    logits = predict(network, valid).numpy()
    labels = [sample.label for sample in valid.samples]
    calibration = task.calibrate(labels, logits)
    threshold = task.threshold(labels, task.probabilities(logits, calibration=calibration))
    return Distilled(network, spec, task, calibration, threshold, history)


@dataclass(frozen=True)
class _Data:
    """A data set with its splits; ``items`` is the torch ``Dataset`` behind it, if there is one."""

    listed: Dataset
    items: Any

    def pixels(self, split: str, spec: PreprocessSpec) -> PixelSource:
        samples = self.listed.split(split)
        if self.items is not None:
            return open_items(self.items, spec=spec, samples=samples)
        return open_pixels(self.listed.root, samples, spec=spec, memory_mb=_MEMORY_MB)


def _open(data: str | Path | Any, *, task: Task, valid_share: float, seed: int) -> _Data:
    from distill.data.layouts import load_dataset
    from distill.data.splits import with_splits

    labels = task.classes
    if not isinstance(data, str | Path):
        return _Data(split_items(data, valid_share=valid_share, seed=seed, labels=labels), items=data)
    listed = load_dataset(at_home(data), labels=labels)
    wanted = ("train", "valid")
    split = with_splits(
        listed, valid_share=valid_share, test_share=0.0, seed=seed, wanted=wanted, labels=labels
    )
    return _Data(split, items=None)


def _named(teacher: nn.Module | Mapping[str, nn.Module] | None) -> Mapping[str, nn.Module]:
    if teacher is None:
        return {}
    return {"teacher": teacher} if isinstance(teacher, nn.Module) else teacher


def _wrapped(module: nn.Module, spec: PreprocessSpec, task: Task) -> nn.Module:
    try:
        found = wrap(module, image_size=spec.size)
        if (given := parts_of(found, size=spec.size).logits) != task.num_logits:
            raise OptionError(f"{type(module).__name__} gives {given} logits, expected {task.num_logits}")
        return found
    except OptionError as error:
        raise EdgeproofError(str(error)) from None


def _methods(
    methods: Iterable[MethodLike],
    student: nn.Module,
    teachers: Mapping[str, nn.Module],
    *,
    task: Task,
    sees: tuple[PreprocessSpec, PreprocessSpec],
) -> list[Method]:
    found = []
    own, theirs = sees
    for settings in map(_settings, methods):
        names = heard_by(settings)
        unknown = [name for name in names if name not in teachers]
        if unknown:
            raise EdgeproofError(
                f"{settings.name} listens to {unknown[0]!r}, but the teachers are {', '.join(teachers)}"
            )
        pair = Pair.of(
            _parts(student, own),
            {name: _parts(teachers[name], theirs) for name in names},
            task=task,
            sees={"": own, **dict.fromkeys(names, theirs)},
            make_student=partial(_another, student),
        )
        found.append(build_method(settings, pair=pair))
    return found


def _settings(item: MethodLike) -> MethodSettings:
    if isinstance(item, MethodSettings):
        return item
    given = {"name": item} if isinstance(item, str) else dict(item)
    try:
        return MethodSettings.model_validate(given)
    except ValidationError as error:
        raise EdgeproofError("; ".join(f"methods: {explain(item)}" for item in error.errors())) from None


def _parts(module: nn.Module, spec: PreprocessSpec) -> Parts:
    try:
        return parts_of(module, size=spec.size)
    except OptionError as error:
        raise EdgeproofError(str(error)) from None


def _another(module: nn.Module) -> nn.Module:
    """A network of the same architecture with first weights of its own, where its layers know how to draw them."""
    peer = copy.deepcopy(module)
    for layer in peer.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
    return peer


def _ask(
    teachers: Mapping[str, nn.Module],
    terms: Iterable[Method],
    data: _Data,
    *,
    spec: PreprocessSpec,
    views: Views,
    folder: Path,
    knobs: TrainingSettings,
) -> dict[str, Cached]:
    """What every teacher that is listened to says of every view, kept in ``folder``."""
    cached = {}
    for name, features in features_of(terms).items():
        module = freeze(teachers[name].to(pick_device(knobs.accelerator)))
        pixels = data.pixels("train", spec)
        key = CacheKey(
            teacher=_hash(module),
            samples=hashlib.sha256(repr(pixels.samples).encode()).hexdigest(),
            spec=spec,
            views=views,
            augmentation=None,
            features=features,
        )
        path = folder / f"{name}-outputs.safetensors"
        write_cache(module, pixels, key=key, path=path)
        cached[name] = Cached(path, key=key)
    return cached


def _hash(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
