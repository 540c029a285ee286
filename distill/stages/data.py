"""The work of the data stages: images found or rendered, split, checked and listed."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from distill.data.samples import Dataset
from distill.errors import EdgeproofError
from distill.files import at_home
from distill.pipeline.runfolder import AUDIT, SCAN, SUMMARY, load_samples, save_samples
from distill.pipeline.stage import Progress, Run
from distill.recipe import DataSettings, Recipe
from distill.roster import Model
from distill.task import Task, find_task

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Home:
    """Where images stand: their settings in the recipe, and the folder that lists them.

    A run has one; a teacher that learns from images of its own has another, in its own folder.
    """

    settings: DataSettings
    folder: Path


def home_of(run: Run, owner: Model | None = None) -> Home:
    """The images that ``owner`` learns from; without one the run's, on which every model is judged."""
    settings = _settings(run.recipe, owner)
    own = owner is not None and owner.own_data
    return Home(settings, run.folder / owner.folder if owner and own else run.folder)


def _settings(recipe: Recipe, owner: Model | None) -> DataSettings:
    if owner is None or not owner.own_data:
        return recipe.data
    own = recipe.all_teachers[owner.name].data
    if own is None:
        raise ValueError(f"{owner.section} has no data of its own")
    return own


def make_data(run: Run, progress: Progress, *, owner: Model | None = None) -> None:
    """Simulate, or list the user's folder; read every file once; leave bad ones out; split by group."""
    from distill.data.generators import learned_from
    from distill.data.scan import save_scan, scan
    from distill.data.splits import with_splits
    from distill.data.summary import summarise
    from distill.machine import thread_count

    home, task = home_of(run, owner), find_task(run.recipe.task)
    settings = home.settings
    found = _listed(settings, task) if settings.path else _simulate(home, progress)
    found = _with_unlabelled(found, settings.unlabelled)
    found, columns = scan(
        found, max_bad_share=settings.max_bad_share, workers=thread_count(0), progress=progress
    )
    if settings.path:  # last: a split must have both classes among the images that can be read
        found = with_splits(
            found, valid_share=settings.valid_share, test_share=settings.test_share, seed=run.recipe.seed,
            labels=task.classes, min_groups=settings.min_groups,
        )  # fmt: skip
    found, rows = learned_from(found, settings.generators)
    task.targets(found.split("train"))  # raises for what no model could learn
    for problem in found.problems:  # before anything costs time
        _LOG.warning("%s", problem)
    save_samples(found, home.folder)
    save_scan(columns.take(rows), home.folder / SCAN)
    held_out = sorted({s.generator for s in found.split("heldout") if s.generator})
    summarise(found, held_out=held_out, labels=task.classes).write(home.folder / SUMMARY)


def _listed(settings: DataSettings, task: Task) -> Dataset:
    from distill.data.layouts import load_dataset

    root = at_home(settings.path)
    return load_dataset(
        root, layout=settings.layout, columns=settings.columns, labels=task.classes, groups=settings.groups
    )


def _with_unlabelled(dataset: Dataset, folder: str) -> Dataset:
    """The data set and, after it, the images that only distillation sees."""
    from distill.data.unlabelled import load_unlabelled

    if not folder:
        return dataset
    more = load_unlabelled(at_home(folder))
    return replace(dataset, samples=dataset.samples + more.samples, skipped=dataset.skipped + more.skipped)


def _simulate(home: Home, progress: Progress) -> Dataset:
    from distill.data.simulate.writer import simulate
    from distill.machine import thread_count

    settings = home.settings.simulate
    if settings is None:
        raise EdgeproofError("data: neither data.path nor [data.simulate] is given")
    workers = thread_count(0)
    return simulate(settings, root=home.folder / "data" / "simulated", workers=workers, progress=progress)


def audit_data(run: Run, progress: Progress, *, owner: Model | None = None) -> None:
    """Refuse data that gives its labels away before the pixels are seen."""
    from distill.data.audit.audit import audit, require_passed
    from distill.data.scan import load_scan

    home = home_of(run, owner)
    folder, least = home.folder, home.settings.min_groups
    dataset, columns = load_samples(folder), load_scan(folder / SCAN)
    labels = find_task(run.recipe.task).classes
    report = audit(
        dataset, columns, gates=run.recipe.gates, seed=run.recipe.seed, labels=labels, min_groups=least,
        progress=progress,
    )  # fmt: skip
    report.write(folder / AUDIT)
    require_passed(report, where=folder / AUDIT)


def data_state(recipe: Recipe, *, owner: Model | None = None) -> list[list[float]]:
    """Number, total size and newest change of the user's files: other files make another data set."""
    settings = _settings(recipe, owner)
    return [_fingerprint(settings.path), _fingerprint(settings.unlabelled)]


def _fingerprint(path: str) -> list[float]:
    count, size, newest = 0, 0, 0.0
    for file in _files(at_home(path)) if path else ():
        status = file.lstat()
        count, size, newest = count + 1, size + status.st_size, max(newest, status.st_mtime)
    return [count, size, newest]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():  # a manifest or a tar
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)
