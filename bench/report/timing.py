"""The bench's own tables: every network at one size, what was not timed, and figures that others published."""

from bench.report.cells import latency, speedups, where
from bench.report.data import RunData
from distill.page.blocks import Table, columns
from distill.page.formats import NONE, count


def like_for_like(run: RunData) -> Table:
    """Every architecture at one large size, where ratios to ResNet18 are like for like."""
    rows = [row for row in run.rows if row.input_size == run.large and row.scope == "model" and row.measured]
    cells = tuple(
        (
            row.model,
            *where(row.runtime, run.precision(row)),
            latency(row, lambda found: found.p50_ms),
            latency(row, lambda found: found.p90_ms),
            latency(row, lambda found: found.p99_ms),
            latency(row, lambda found: found.min_ms),
            *speedups(run, row),
            NONE if row.macs is None else count(row.macs / 1e6),
            count(row.params),
        )
        for row in rows
    )
    titles = ("p50 ms", "p90 ms", "p99 ms", "min ms", "vs 0.458 s", "vs ResNet18 here", "MMAC", "Parameters")
    alike = run.reference is not None and run.reference.input_size == run.large
    return Table(
        f"{'Like for like: every' if alike else 'Every'} network at {run.large}×{run.large}",
        columns("Model", "Runtime", "Precision", *titles, left=3),
        cells,
        "Batch 1, model only. Accuracy is not given here: this size is for timing alone.",
    )


def not_timed(run: RunData) -> Table:
    """Contestants of the bench that failed or were skipped, with the reason."""
    lost = [row for row in run.rows if not row.measured]
    rows = tuple(
        (
            row.model,
            *where(row.runtime, run.precision(row)),
            str(row.input_size),
            row.status,
            row.reason or NONE,
        )
        for row in lost
    )
    titles = ("Model", "Runtime", "Precision", "Size", "Status", "Reason")
    failed = frozenset(i for i, row in enumerate(lost) if row.status == "failed")
    return Table("Not timed", columns(*titles, left=6), rows, bad=failed)


def published() -> Table:
    """Figures from the documents the project grew from; they stand apart from this run's on purpose."""
    rows = (
        ("ResNet18, frozen features, head trained", "accuracy 0.72", "0.458 s per image"),
        ("MobileNetV2Simple", "F1 0.3572", NONE),
        ("EfficientNet-B3 + FPN + CBAM", "F1 0.8921 in its table; its confusion matrix gives 0.738", NONE),
    )
    note = (
        "Other data, other hardware: not comparable with anything above. The EfficientNet report's table "
        "(precision 0.8315) and its own confusion matrix (precision 0.603) disagree."
    )
    return Table(
        "Figures from earlier reports, not comparable",
        columns("Model", "Reported", "Latency", left=3),
        rows,
        note,
    )
