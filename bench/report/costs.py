"""What each step cost: AUC, verdict flips, threshold drift and size."""

from collections.abc import Iterator

from bench.records.accuracy import Flips, Step
from bench.report.data import RunData
from bench.report.entry import CONTROLS, Entry
from bench.report.evidence import few_groups, groups_behind
from distill.page.blocks import Table, columns
from distill.page.formats import NONE, count, percent, signed, size, with_interval

_STEPS: dict[Step, str] = {
    "distillation": "Distillation",
    "export": "Export",
    "int8": "INT8",
    "size": "Teacher to student",
}


def costs(run: RunData) -> Table:
    """One row a step, from the earlier model to the later one."""
    measures = run.measures
    drift = ("Threshold drift",) if measures.detects else ()
    change = f"{measures.title} change"
    titles = ("Step", "From", "To", f"{change} [95 % CI]", "Verdicts flipped", *drift, "File size")
    note = (
        f"{change}: the later model minus the earlier one on the test split, paired bootstrap by group "
        f"(scene); an interval that holds 0 shows no difference. {groups_behind(run)} {' '.join(few_groups(run))}".rstrip()
        + f" Flips: {measures.flips}."
        + (" Drift: threshold refitted on validation minus the frozen one." if drift else "")
    )
    return Table("Step by step", columns(*titles, left=3), tuple(_rows(run)), note)


def _rows(run: RunData) -> Iterator[tuple[str, ...]]:
    for compared in run.accuracy.comparisons if run.accuracy else ():
        after, before = run.entry(compared.a), run.entry(compared.b)
        if after is None or before is None or compared.difference is None:
            continue
        yield (
            _STEPS[compared.step]
            + (f", against {CONTROLS[arm]}" if (arm := before.identity.arm) in CONTROLS else ""),
            before.short,
            after.short,
            with_interval(compared.difference, compared.ci, sign=True),
            flipped(compared.flips),
            *([_drift(after)] if run.measures.detects else []),
            _size_change(run, after, before),
        )


def flipped(flips: Flips) -> str:
    """How many verdicts differ, and their share."""
    return f"{count(flips.count)} ({percent(flips.share)})"


def _drift(item: Entry) -> str:
    found = item.accuracy if item.is_artifact else None
    if found is None or found.refit_threshold is None or found.threshold is None:
        return NONE
    return signed(found.refit_threshold - found.threshold)


def _size_change(run: RunData, item: Entry, parent: Entry) -> str:
    new, old = (row.bytes if row else None for row in (run.timing(item), run.timing(parent)))
    return f"{size(old)} → {size(new)}" if new and old and new != old else NONE
