"""The work of the stage that times what a teacher costs: steps without one, with a cached and with a live one in turn."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from distill.data.samples import UNLABELLED_SPLIT
from distill.pipeline.runfolder import WEIGHTS, load_samples
from distill.pipeline.stage import Progress, Run
from distill.roster import Model
from distill.stages.listening import open_sources
from distill.stages.sources import Source, methods_for
from distill.stages.training import ground_truth, pixels_of, taught_pixels
from distill.task import find_task
from distill.training.cost import FORMS, DistillationCost, Form, costs_of
from distill.training.views import Views

COST = "distillation-cost.json"
ROUNDS, STEPS, _WARMUP = 8, 4, 2
_BUDGET_S, _LEAST = 12.0, 2  # a large teacher is timed in fewer rounds


def measure_cost(
    run: Run, progress: Progress, *, model: Model, sources: tuple[Source, ...], views: Views
) -> None:
    """Write :data:`COST` for one student: real images, losses and steps, nothing of which is kept."""
    from distill.training.checkpoint import pick_device
    from distill.training.precision import training_threads

    images = len(load_samples(run.folder).split("train", UNLABELLED_SPLIT))
    batch_size = run.recipe.students[model.name].batch_size
    device, threads = pick_device(run.recipe.training.accelerator), training_threads(run.recipe.training)
    reason = why_not(sources) or _fitted(run, model)
    step = images / -(-images // batch_size)  # batches of an epoch are of nearly equal size
    seconds: dict[Form, list[float]] = {}
    if not reason:
        with training_thread_count(threads):
            seconds = timed_in_turn(
                {
                    form: Turns(run, model=model, sources=_as(form, sources), views=views, total=images)
                    for form in FORMS
                },
                progress,
            )
    DistillationCost(
        student=model.name,
        reason=reason or None,
        device=device.type,
        threads=threads,
        images=images,
        rounds=len(seconds.get("none", ())),
        steps=STEPS,
        batch_size=batch_size,
        forms=costs_of(seconds, turn=STEPS * step, images=images) if seconds else (),
    ).write(run.folder / COST)


def timed_in_turn(turns: "Mapping[Form, Turns]", progress: Progress) -> dict[Form, list[float]]:
    """Seconds of every round of each form; who goes first changes from round to round."""
    found: dict[Form, list[float]] = {form: [] for form in turns}
    order, started = list(turns), time.monotonic()
    for turn in turns.values():
        turn.take(_WARMUP)
    for number in range(ROUNDS):
        if number >= _LEAST and time.monotonic() - started > _BUDGET_S:
            break
        for form in order:
            found[form].append(turns[form].take(STEPS))
        order = order[1:] + order[:1]
        progress(number + 1, ROUNDS)
    return found


class Turns:
    """A training of which a few steps are taken at a time.

    Args:
        run: folder and recipe.
        model: the student.
        sources: whom it listens to, cached or asked at every step; none for a student without a teacher.
        views: of its images.
        total: images of an epoch.
    """

    def __init__(
        self, run: Run, *, model: Model, sources: tuple[Source, ...], views: Views, total: int
    ) -> None:
        import torch

        from distill.models import make_model
        from distill.training.batches import BatchDataset, train_loader
        from distill.training.checkpoint import pick_device
        from distill.training.trainable import Trainable

        recipe, spec = run.recipe, model.preprocess
        self.device = pick_device(recipe.training.accelerator)
        schedule, teachers = recipe.students[model.name], open_sources(run, sources, student=model)
        torch.manual_seed(model.seed or 0)
        network = make_model(recipe, model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        methods = methods_for(recipe, model, [source.teacher for source in sources]) if sources else []
        pixels = taught_pixels(run, spec=spec) if sources else pixels_of(run, "train", spec=spec)
        for method in methods:
            method.prepare(pixels.samples)
        self.module = Trainable(
            network,
            task=find_task(recipe.task),
            objectives=[ground_truth(run, learner=model), *methods],
            schedule=schedule,
            spec=spec,
            online=teachers.online,
        ).to(self.device)
        self.module.on_fit_start()
        self.precision = _autocast(run, model, self.device)
        parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, fused=True)
        dataset = BatchDataset(
            pixels,
            teachers=teachers.cached,
            sights=teachers.sights,
            augmentation=recipe.augmentation,
            views=views,
            targets=find_task(recipe.task).targets(pixels.samples),
        )
        # no workers: they would go on for one form while another is timed
        loader = train_loader(
            dataset, batch_size=schedule.batch_size, seed=model.seed or 0, workers=0, total=total
        )
        self.batches = _without_end(loader)

    def take(self, steps: int) -> float:
        """Seconds of so many steps, from reading the images to the changed weights."""
        from lightning.fabric.utilities import move_data_to_device

        self.module.train()
        self._wait()
        started = time.perf_counter()
        for number in range(steps):
            batch = move_data_to_device(next(self.batches), self.device)
            with self.precision():
                loss = self.module.training_step(batch, number)
            self.optimizer.zero_grad(set_to_none=False)
            loss.backward()
            self.optimizer.step()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        """A GPU works on while Python goes on."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _fitted(run: Run, model: Model) -> str:
    """Why a student that is fitted has no steps to be timed; empty for one that trains."""
    from distill.check_fitted import fitted_student

    return f"{model.name} is fitted, not trained in steps" if fitted_student(run.recipe, model) else ""


def why_not(sources: tuple[Source, ...]) -> str:
    """Why nothing can be compared; empty where it can."""
    if not sources:
        return "no method listens to a teacher"
    boxes = [source.teacher.name for source in sources if source.teacher.black_box]
    if boxes:
        return f"{', '.join(boxes)}: a table of answers, which costs no time here"
    asked = [source.teacher.name for source in sources if not source.cached]
    return (
        f"{', '.join(asked)}: asked at every step by the recipe, so that nothing is cached" if asked else ""
    )


def _as(form: Form, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    if form == "none":
        return ()
    return tuple(replace(source, cached=form == "cached") for source in sources)


@contextmanager
def training_thread_count(count: int) -> Iterator[None]:
    """As many threads as a training has, in the one process that later times the models too."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _autocast(run: Run, model: Model, device: Any) -> Callable[[], AbstractContextManager[Any]]:
    """The number format that the student was trained in."""
    import torch

    from distill.training.checkpoint import read_sidecar

    formats = {"bf16": torch.bfloat16, "fp16": torch.float16}
    dtype = formats.get(read_sidecar(run.folder / model.folder / WEIGHTS)["precision"])
    return (lambda: torch.autocast(device.type, dtype=dtype)) if dtype else nullcontext


def _without_end(loader: Any) -> Iterator[Any]:
    epoch = 0
    while True:
        loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1
