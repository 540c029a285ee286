"""The work of the data stages: images found or rendered, split, checked and listed."""

from pathlib import Path

from distill.data.samples import Dataset
from distill.errors import EdgeproofError
from distill.files import write_json
from distill.runfolder import AUDIT, SUMMARY, load_dataset, save_dataset
from distill.stage import Progress, Run


def make_data(run: Run, progress: Progress) -> None:
    """Simulate, or list the user's folder; split by group; leave bad files out."""
    from distill.data.audit import summary
    from distill.data.layouts import load_dataset as read_layout
    from distill.data.pixels import find_unreadable
    from distill.data.splits import with_splits
    from distill.precision import thread_count

    settings = run.recipe.data
    if settings.path:
        found = read_layout(Path(settings.path).expanduser(), layout=settings.layout)
        threads = thread_count(0)
        found = find_unreadable(
            found, max_bad_share=settings.max_bad_share, threads=threads, progress=progress
        )
        # last: a split must have both classes among the images that can be read
        found = with_splits(
            found, valid_share=settings.valid_share, test_share=settings.test_share, seed=run.recipe.seed
        )
    else:
        found = _simulate(run, progress)
    save_dataset(found, run.folder)
    held_out = sorted({s.generator for s in found.split("heldout") if s.generator})
    write_json(run.folder / SUMMARY, summary(found, held_out=held_out))


def _simulate(run: Run, progress: Progress) -> Dataset:
    from distill.data.simulate.writer import simulate
    from distill.precision import thread_count

    settings = run.recipe.data.simulate
    if settings is None:
        raise EdgeproofError("data: neither data.path nor [data.simulate] is given")
    workers = thread_count(0)
    return simulate(settings, root=run.folder / "data" / "simulated", workers=workers, progress=progress)


def audit_data(run: Run, progress: Progress) -> None:
    """Refuse data that gives its labels away before the pixels are seen."""
    from distill.data.audit import audit, require_passed

    gates = run.recipe.gates
    dataset = load_dataset(run.folder)
    report = audit(dataset, metadata_limit=gates.metadata_auc, accept=gates.accept, seed=run.recipe.seed)
    write_json(run.folder / AUDIT, report)
    require_passed(report, where=run.folder / AUDIT)
