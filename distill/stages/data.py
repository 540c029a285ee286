"""The work of the data stages: images found or rendered, split, checked and listed."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from distill.data.samples import Dataset
from distill.errors import EdgeproofError
from distill.pipeline.runfolder import AUDIT, SCAN, SUMMARY, load_samples, save_samples
from distill.pipeline.stage import Progress, Run
from distill.recipe import Recipe


def make_data(run: Run, progress: Progress) -> None:
    """Simulate, or list the user's folder; read every file once; leave bad ones out; split by group."""
    from distill.data.scan import save_scan, scan
    from distill.data.splits import with_splits
    from distill.data.summary import summarise
    from distill.machine import thread_count

    settings = run.recipe.data
    found = _listed(run) if settings.path else _simulate(run, progress)
    found = _with_unlabelled(found, settings.unlabelled)
    found, columns = scan(
        found, max_bad_share=settings.max_bad_share, workers=thread_count(0), progress=progress
    )
    if settings.path:  # last: a split must have both classes among the images that can be read
        found = with_splits(
            found, valid_share=settings.valid_share, test_share=settings.test_share, seed=run.recipe.seed
        )
    save_samples(found, run.folder)
    save_scan(columns, run.folder / SCAN)
    held_out = sorted({s.generator for s in found.split("heldout") if s.generator})
    summarise(found, held_out=held_out).write(run.folder / SUMMARY)


def _listed(run: Run) -> Dataset:
    from distill.data.layouts import load_dataset

    settings = run.recipe.data
    return load_dataset(Path(settings.path).expanduser(), layout=settings.layout, columns=settings.columns)


def _with_unlabelled(dataset: Dataset, folder: str) -> Dataset:
    """The data set and, after it, the images that only distillation sees."""
    from distill.data.unlabelled import load_unlabelled

    if not folder:
        return dataset
    more = load_unlabelled(Path(folder).expanduser())
    return replace(dataset, samples=dataset.samples + more.samples, skipped=dataset.skipped + more.skipped)


def _simulate(run: Run, progress: Progress) -> Dataset:
    from distill.data.simulate.writer import simulate
    from distill.machine import thread_count

    settings = run.recipe.data.simulate
    if settings is None:
        raise EdgeproofError("data: neither data.path nor [data.simulate] is given")
    workers = thread_count(0)
    return simulate(settings, root=run.folder / "data" / "simulated", workers=workers, progress=progress)


def audit_data(run: Run, progress: Progress) -> None:
    """Refuse data that gives its labels away before the pixels are seen."""
    from distill.data.audit.audit import audit, require_passed
    from distill.data.scan import load_scan

    dataset, columns = load_samples(run.folder), load_scan(run.folder / SCAN)
    report = audit(dataset, columns, gates=run.recipe.gates, seed=run.recipe.seed, progress=progress)
    report.write(run.folder / AUDIT)
    require_passed(report, where=run.folder / AUDIT)


def data_state(recipe: Recipe) -> list[list[float]]:
    """Number, total size and newest change of the user's files: other files make another data set."""
    return [_fingerprint(recipe.data.path), _fingerprint(recipe.data.unlabelled)]


def _fingerprint(path: str) -> list[float]:
    count, size, newest = 0, 0, 0.0
    for file in _files(Path(path).expanduser()) if path else ():
        status = file.lstat()
        count, size, newest = count + 1, size + status.st_size, max(newest, status.st_mtime)
    return [count, size, newest]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():  # a manifest or a tar
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)
