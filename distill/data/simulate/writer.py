"""Write a simulated set: plan, train the generators, render on all cores, resume, manifest last."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from pathlib import Path

from pydantic import ValidationError

from distill.data.samples import Dataset
from distill.data.simulate.manifest import (
    MANIFEST,
    PARTS,
    SETTINGS,
    Header,
    Manifest,
    Part,
    Record,
    image_path,
    shard_path,
)
from distill.data.simulate.plan import ScenePlan, plan_scenes
from distill.data.simulate.pool import Job, one_thread, start_workers
from distill.data.simulate.settings import CONTROL, SPLITS, SimulationSettings, check_supported
from distill.data.storage import tar_of
from distill.errors import EdgeproofError, cause
from distill.files import write_text

Progress = Callable[[int, int], None]

_CHUNK = 24  # scenes per job: what a killed worker has to render again


def simulate(
    settings: SimulationSettings, *, root: Path, workers: int, progress: Progress | None = None
) -> Dataset:
    """Render a simulated set into ``root`` and return it.

    The same settings give the same bytes whatever the number of workers. A set that is finished is returned
    at once; of an unfinished or damaged one, the whole files are kept and the rest is rendered.

    Args:
        settings: what to render.
        root: folder of this set alone; images go to ``{split}/{real,fake}/*.jpg`` below it, or into
            ``{split}-{number}.tar``.
        workers: processes; 1 renders in this one.
        progress: called with the number of scenes done and the number of all scenes.

    Raises:
        EdgeproofError: ``root`` holds something else or a set with other settings, the disk is full, torch or
            scipy is missing, or a worker died.
    """
    check_supported(settings)
    if workers < 1:
        raise EdgeproofError(f"workers is {workers}, expected at least 1")
    header = Header(settings=settings)
    try:
        _claim(root, header)
        records, whole = _finished(root, header)
        if not whole:
            records = _render_missing(settings, root, records, workers, progress)
            manifest = Manifest(settings=settings, samples=tuple(records))
            write_text(root / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
            shutil.rmtree(root / PARTS, ignore_errors=True)
    except OSError as error:
        raise EdgeproofError(
            f"{error.filename or root}: cannot write the simulated set ({cause(error)})"
        ) from error
    except BrokenProcessPool:
        raise EdgeproofError(
            f"{root}: a worker process died (out of memory?); run again to go on from there"
        ) from None
    except ImportError as error:
        raise EdgeproofError(
            f"simulating images needs {error.name}: pip install 'edgeproof[train]'"
        ) from None
    return Manifest(settings=settings, samples=tuple(records)).to_dataset(root)


def _claim(root: Path, header: Header) -> None:
    """Make sure that the folder is ours and of these settings."""
    path = root / SETTINGS
    if path.is_file():
        try:
            found = Header.model_validate_json(path.read_bytes())
        except ValidationError:
            found = None
        if found != header:
            raise EdgeproofError(
                f"{root}: holds a simulated set with other settings{_difference(found, header)}; "
                "expected the same settings, an empty folder or a new one"
            )
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise EdgeproofError(
            f"{root}: holds something that is no simulated set, expected an empty folder or a new one"
        )
    write_text(path, header.model_dump_json(indent=1) + "\n")


def _difference(found: Header | None, wanted: Header) -> str:
    if found is None or found.schema_version != wanted.schema_version:
        return " (from another version of edgeproof)"
    old, new = found.settings.model_dump(), wanted.settings.model_dump()
    return (
        " ("
        + ", ".join(f"{key}: {old[key]} there, {new[key]} asked" for key in new if old[key] != new[key])
        + ")"
    )


def _finished(root: Path, header: Header) -> tuple[list[Record], bool]:
    """Records of all images that are whole, in no order, and whether the set is complete."""
    manifest = _read(Manifest, root / MANIFEST, header)
    parts = [_read(Part, path, header) for path in sorted((root / PARTS).glob("*.json"))]
    known = [record for document in (manifest, *parts) if document for record in document.samples]
    kept = {record.path: record for record in known if _is_whole(root, record)}
    return list(kept.values()), isinstance(manifest, Manifest) and len(kept) == len(manifest.samples)


def _read(kind: "type[Manifest | Part]", path: Path, header: Header) -> "Manifest | Part | None":
    if not path.is_file():
        return None
    try:
        document = kind.model_validate_json(path.read_bytes())
    except ValidationError:
        return None  # cut short: its scenes are rendered again
    return document if document.settings == header.settings else None


def _is_whole(root: Path, record: Record) -> bool:
    if record.mask is not None and not (root / record.mask).is_file():
        return False
    sample = record.to_sample()
    path = root / (tar_of(sample) or record.path)
    if not path.is_file():
        return False
    if record.span is None:
        return path.stat().st_size == record.bytes
    return path.stat().st_size >= sum(record.span)


def _render_missing(
    settings: SimulationSettings,
    root: Path,
    records: Sequence[Record],
    workers: int,
    progress: Progress | None,
) -> list[Record]:
    """Render what is not there yet; all records in the order of the plan."""
    _sweep(root)
    plans = plan_scenes(settings)
    by_path = {record.path: record for record in records}
    missing = _missing(settings, plans, set(by_path))
    jobs = _scene_jobs(settings, missing)
    done = len(plans) - len(missing)
    if progress:
        progress(done, len(plans))
    with one_thread(), start_workers(settings, root, min(workers, max(1, len(jobs)))) as run:
        for batch in (_training_jobs(root, missing), jobs):
            for finished in run(batch):
                by_path.update({record.path: record for record in finished})
                done += len({record.group for record in finished})
                if progress and finished:
                    progress(done, len(plans))
    return [by_path[path] for plan in plans for path in _paths(settings, plan)]


def _sweep(root: Path) -> None:
    """Remove the temporary files of a run that was killed, which a class-folder loader would read."""
    for split in SPLITS:
        for path in (root / split).glob("*/.*.jpg"):
            path.unlink(missing_ok=True)


def _paths(settings: SimulationSettings, plan: ScenePlan) -> list[str]:
    wanted = (plan.write_real, plan.write_fake)
    return [image_path(settings, plan, label) for label in (0, 1) if wanted[label]]


def _missing(settings: SimulationSettings, plans: Sequence[ScenePlan], there: set[str]) -> list[ScenePlan]:
    """Scenes to render; where one is missing in a shard, all of the shard's."""
    missing = [plan for plan in plans if not there.issuperset(_paths(settings, plan))]
    if settings.storage == "files":
        return missing
    shards = {shard_path(settings, plan) for plan in missing}
    return [plan for plan in plans if shard_path(settings, plan) in shards]


def _training_jobs(root: Path, plans: Sequence[ScenePlan]) -> list[Job]:
    from distill.data.simulate.generators import model_path

    needed = sorted({(plan.family, plan.instance) for plan in plans if plan.family != CONTROL})
    return [Job(generator=key) for key in needed if not model_path(root, *key).is_file()]


def _scene_jobs(settings: SimulationSettings, plans: Sequence[ScenePlan]) -> list[Job]:
    if settings.storage == "shards":
        shards = groupby(plans, key=lambda plan: shard_path(settings, plan))
        return [Job(plans=tuple(members)) for _, members in shards]
    return [Job(plans=tuple(plans[start : start + _CHUNK])) for start in range(0, len(plans), _CHUNK)]
