"""Whether this machine and the images asked for are enough for a recipe, before anything costs time."""

from collections.abc import Iterator

from distill.errors import EdgeproofError
from distill.machine import usable_threads
from distill.recipe import DataSettings, Recipe

_LEARNED_FROM = ("train", "valid")


def problems_of_means(recipe: Recipe) -> Iterator[EdgeproofError]:
    """Devices that are not there, splits without a scene, checks that nobody makes."""
    yield from _missing_devices(recipe)
    yield from _empty_splits(recipe)
    yield from _unknown_checks(recipe)


def _missing_devices(recipe: Recipe) -> Iterator[EdgeproofError]:
    from distill.training.checkpoint import pick_device

    settings = recipe.training
    try:
        device = pick_device(settings.accelerator)
    except EdgeproofError as error:
        yield error
        return
    here = _gpus() if device.type == "cuda" else usable_threads()
    if settings.devices > here:
        kind = "GPUs" if device.type == "cuda" else "CPU threads"
        yield EdgeproofError(f"training.devices: given {settings.devices}, but here are {here} {kind}")


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())


def _empty_splits(recipe: Recipe) -> Iterator[EdgeproofError]:
    """Of simulated sets: a model learns from two splits, and is judged on a third of the run's."""
    yield from _empty(recipe.data, key="data", splits=(*_LEARNED_FROM, "test"))
    for name, teacher in recipe.all_teachers.items():
        if teacher.data is not None and not teacher.finished:
            section = "teacher" if name == "teacher" else f"teachers.{name}"
            yield from _empty(teacher.data, key=f"{section}.data", splits=_LEARNED_FROM)


def _empty(data: DataSettings, *, key: str, splits: tuple[str, ...]) -> Iterator[EdgeproofError]:
    if data.simulate is None or data.path:
        return
    scenes = data.simulate.scenes.model_dump()
    for split in splits:
        if not scenes[split]:
            yield EdgeproofError(f"{key}.simulate.scenes.{split}: given 0, expected at least 1 scene")


def _unknown_checks(recipe: Recipe) -> Iterator[EdgeproofError]:
    from distill.data.audit.audit import check_accepted

    try:
        check_accepted(recipe.gates.accept)
    except EdgeproofError as error:
        yield error
