"""The tables of the data: audit, images, generators, skipped files."""

from bench.report.data import RunData
from bench.report.tables import NOT_CHECKED, mark, table
from distill.data.summary import DataSummary
from distill.page.blocks import Points, Table, columns
from distill.page.formats import NONE, count, fixed, percent

_MOST_SKIPPED = 50
_CONTROL = ("control",)


def audit(run: RunData) -> Table:
    """The checks made on the data before training."""
    titles = ("Check", "Value", "Limit", "Gate", "Note")
    if run.audit is None:
        return table("Data audit", titles, ())
    rows = [
        (
            check.name,
            fixed(check.value) if check.checked else NONE,
            fixed(check.limit),
            mark(check.passed) if check.checked else NOT_CHECKED,
            check.note or NONE,
        )
        for check in run.audit.checks
    ]
    note = ""
    if run.audit.metadata_auc is not None:
        note = "Of metadata, file_bytes and compression the value is the AUC of a classifier minus 0.5: 0 gives nothing away."
    return table("Data audit", titles, rows, note=note)


def images(run: RunData) -> Table:
    """Images per split and class."""
    titles = ("Split", "Real", "Generated", "Share generated", "Groups (scenes)")
    if run.summary is None:
        return table("Images", titles, ())
    if any(split.classes for split in run.summary.splits.values()):
        return _images_of_classes(run.summary)
    rows = []
    for name, split in run.summary.splits.items():
        both = split.real + split.fake
        share = split.fake / both if both else None
        rows.append((name, count(split.real), count(split.fake), percent(share), count(split.groups)))
    simulated = " The images are simulated." if run.simulated else ""
    return table("Images", titles, rows, note=f"Layout: {run.summary.layout}.{simulated}")


def _images_of_classes(summary: DataSummary) -> Table:
    """A row for each class, a column for each split."""
    splits = summary.splits.values()
    names = dict.fromkeys(name for split in splits for name in split.classes or {})
    rows = [(name, *(count((split.classes or {}).get(name, 0)) for split in splits)) for name in names]
    rows.append(("all", *(count(split.labelled) for split in splits)))
    if all(split.groups is not None for split in splits):
        rows.append(("groups (scenes)", *(count(split.groups) for split in splits)))
    if any(split.unlabelled for split in splits):
        rows.append(("without a label", *(count(split.unlabelled) for split in splits)))
    return Table("Images", columns("Class", *summary.splits), tuple(rows), f"Layout: {summary.layout}.")


def generator_counts(run: RunData) -> Table:
    """Generator families, and where they were used."""
    titles = ("Generator", "Use", "Splits", "Images")
    if run.summary is None:
        return table("Generators", titles, ())
    held = run.summary.held_out
    rows = [
        (
            name,
            "control" if found.splits == _CONTROL else "held out" if name in held else "trained on",
            ", ".join(found.splits) or NONE,
            count(found.count),
        )
        for name, found in run.summary.generators.items()
    ]
    return table("Generators", titles, rows)


def problems(run: RunData) -> Points | None:
    """What a reader should know of the data set, marked; None where there is nothing."""
    found = run.summary.problems if run.summary else ()
    return Points(found, bad=True) if found else None


def skipped(run: RunData) -> Table:
    """Images that were left out, with the reason."""
    found = run.summary.skipped if run.summary else ()
    rows = [(left_out.path, left_out.reason) for left_out in found[:_MOST_SKIPPED]]
    more = len(found) - len(rows)
    note = f"And {more} more, listed in data/summary.json." if more else ""
    return table(f"Skipped files: {len(found)}", ("File", "Reason"), rows, note=note)
