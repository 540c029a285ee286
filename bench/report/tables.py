"""The tables of results: the one table, like for like, each step's cost, generators, published figures."""

from collections.abc import Iterator

from bench.report.data import (
    RUNTIMES,
    Contestant,
    Json,
    RunData,
    interval,
    is_control,
    mapping,
    number,
    sequence,
)
from bench.report.speed import beats_reported, beats_resnet18, loses_to_resnet18, measured
from distill.page.blocks import Table, columns
from distill.page.formats import (
    NONE,
    count,
    fixed,
    listing,
    milliseconds,
    percent,
    signed,
    size,
    times,
    with_interval,
)

IN_SPREAD = "in spread"
HEADLINE = columns(
    "Model",
    "Runtime",
    "Precision",
    "AUC [95\u00a0% CI]",
    "TPR at 5\u00a0% FPR",
    "F1",
    "p50 ms",
    "p99 ms",
    "End-to-end p50 ms",
    "File",
    "vs 0.458 s",
    "vs ResNet18 here",
    left=3,
)
_STEPS = {
    "distillation": "Distillation, against the control",
    "export": "Export",
    "int8": "INT8",
    "size": "Teacher to student",
}


def headline(run: RunData, *, chosen: Contestant | None) -> Table:
    """The one table: every model that was evaluated or timed, the verdict's choice in bold."""
    items = run.contestants
    rows = [_headline_row(run, item) for item in items]
    strong = {i for i, item in enumerate(items) if item == chosen}
    if run.reference_row:
        rows.insert(0, _reference_row(run))
        strong = {i + 1 for i in strong}
    simulated = "Accuracy on simulated data. " if run.simulated else ""
    pixels = run.reference_row.get("input_size")
    here = f"ResNet18 here is eager PyTorch FP32 at {pixels}×{pixels}" if pixels else "ResNet18 was not timed"
    note = (
        f"{simulated}Latency: batch 1, model only, at the size the model was trained at{_sizes(run)}; "
        "the last two columns divide by it. End to end starts from JPEG bytes. The 0.458 s were reported "
        f"on other hardware; {here}. “{IN_SPREAD}”: the measured ranges overlap, so no ratio is claimed; "
        f"~ marks a noisy measurement; {NONE} not measured."
    )
    return Table("The one table", HEADLINE, tuple(rows), note, frozenset(strong))


def _sizes(run: RunData) -> str:
    sizes = {s for item in run.contestants if (s := run.trained_size(item.bench_model))}
    return f" ({', '.join(f'{s}×{s}' for s in sorted(sizes))})" if sizes else ""


def _headline_row(run: RunData, item: Contestant) -> tuple[str, ...]:
    test = mapping(item.accuracy, "splits", "test")
    row, whole = run.timing(item), run.timing(item, scope="end_to_end")
    return (
        item.label,
        *_where(item.runtime, item.precision),
        with_interval(number(test, "auc"), interval(test, "auc_ci")),
        fixed(number(test, "tpr_at_5fpr")),
        fixed(number(test, "f1")),
        latency(row, "p50_ms"),
        latency(row, "p99_ms"),
        latency(whole, "p50_ms"),
        size(number(row, "bytes")),
        *speedups(run, row),
    )


def _where(runtime: object, precision: object) -> tuple[str, str]:
    """Runtime and precision as people write them."""
    return RUNTIMES.get(str(runtime), str(runtime)), str(precision).upper()


def _reference_row(run: RunData) -> tuple[str, ...]:
    row = run.reference_row
    pixels = row.get("input_size", "?")
    whole = run.row(
        model=row["model"], runtime="torch", precision="fp32", size=row.get("input_size"), scope="end_to_end"
    )
    measures = (latency(row, "p50_ms"), latency(row, "p99_ms"), latency(whole, "p50_ms"))
    return (
        f"ResNet18 at {pixels}×{pixels} (reference)",
        *_where("torch", "fp32"),
        *(NONE,) * 3,
        *measures,
        size(number(row, "bytes")),
        *speedups(run, row),
    )


def latency(row: Json, key: str) -> str:
    """Milliseconds of a bench row, marked if noisy; the status where there is none."""
    if not row:
        return NONE
    if not measured(row):
        return str(row.get("status") or NONE)
    return ("~" if row.get("noisy") is True else "") + milliseconds(number(row, key))


def speedups(run: RunData, row: Json) -> tuple[str, str]:
    """Speed-up against 0.458 s and against ResNet18 here; never one inside the spread."""
    if not measured(row):
        return NONE, NONE
    reported = times(number(row, "speedup_vs_reference")) if beats_reported(row) else IN_SPREAD
    if row is run.reference_row:
        return reported, times(1.0)
    ratio = number(row, "speedup_vs_resnet18_eager")
    apart = beats_resnet18(run, row) or loses_to_resnet18(run, row)
    return reported, times(ratio) if ratio is None or apart else IN_SPREAD


def like_for_like(run: RunData) -> Table:
    """Every architecture at one large size, where ratios to ResNet18 are like for like."""
    titles = ("p50 ms", "p90 ms", "p99 ms", "min ms", "vs 0.458 s", "vs ResNet18 here", "MMAC", "Parameters")
    keys = ("p50_ms", "p90_ms", "p99_ms", "min_ms")
    rows = [
        r for r in run.rows if r.get("input_size") == run.large and r.get("scope") == "model" and measured(r)
    ]
    macs = [number(r, "macs") for r in rows]
    cells = tuple(
        (
            str(r.get("model", "?")),
            *_where(r.get("runtime"), r.get("precision")),
            *(latency(r, k) for k in keys),
            *speedups(run, r),
            NONE if mac is None else count(mac / 1e6),
            count(number(r, "params")),
        )
        for r, mac in zip(rows, macs, strict=True)
    )
    alike = run.reference_row.get("input_size") == run.large
    note = "Batch 1, model only. Accuracy is not given here: this size is for timing alone."
    return Table(
        f"{'Like for like: every' if alike else 'Every'} network at {run.large}×{run.large}",
        columns("Model", "Runtime", "Precision", *titles, left=3),
        cells,
        note,
    )


def not_timed(run: RunData) -> Table:
    """Contestants of the bench that failed or were skipped, with the reason."""
    rows = tuple(
        (
            str(r.get("model", "?")),
            *_where(r.get("runtime"), r.get("precision")),
            f"{r.get('input_size', '?')}",
            str(r.get("status", "?")),
            str(r.get("reason") or NONE),
        )
        for r in run.rows
        if not measured(r)
    )
    titles = ("Model", "Runtime", "Precision", "Size", "Status", "Reason")
    return Table(
        "Not timed",
        columns(*titles, left=6),
        rows,
        bad=frozenset(i for i, r in enumerate(rows) if r[4] == "failed"),
    )


def costs(run: RunData) -> Table:
    """What each step cost: AUC, verdict flips, threshold drift and size."""
    rows = tuple(_cost_rows(run))
    titles = (
        "Step",
        "From",
        "To",
        "AUC change [95 % CI]",
        "Verdicts flipped",
        "Threshold drift",
        "File size",
    )
    note = (
        "AUC change: the later model minus the earlier one on the test split, paired bootstrap by group "
        "(scene); an interval that holds 0 shows no difference. Flips: images whose verdict changed at the "
        "frozen threshold. Drift: threshold refitted on validation minus the frozen one."
    )
    return Table("Step by step", columns(*titles, left=3), rows, note)


def _cost_rows(run: RunData) -> Iterator[tuple[str, ...]]:
    by_key = {item.key: item for item in run.contestants if item.key}
    for entry in sequence(run.accuracy, "comparisons"):
        a, b = (by_key.get(str(mapping({"e": entry}, "e").get(k))) for k in ("a", "b"))
        value, pair = number(entry, "auc_difference"), interval(entry, "ci")
        if a is None or b is None or value is None:
            continue
        # The file gives AUC(a) - AUC(b); a step is told from the earlier model to the later one.
        if _is_later(b, a):
            a, b, value, pair = b, a, -value, (-pair[1], -pair[0]) if pair else None
        what = str(entry.get("what", "?"))
        yield (
            _STEPS.get(what, what),
            b.short,
            a.short,
            with_interval(value, pair, sign=True),
            _flips(a, b),
            _drift(a),
            _size_change(run, a, b),
        )


def _is_later(item: Contestant, other: Contestant) -> bool:
    kinds = ("teacher", "control", "student", "artifact")

    def rank(c: Contestant) -> tuple[int, bool]:
        return kinds.index(c.kind) if c.kind in kinds else 9, c.precision == "int8"

    return rank(item) > rank(other)


def _flips(item: Contestant, parent: Contestant) -> str:
    flips = mapping(item.accuracy, "flips_vs_parent")
    if not flips or flips.get("parent") != parent.key:
        return NONE
    return f"{count(number(flips, 'count'))} ({percent(number(flips, 'share'))})"


def _drift(item: Contestant) -> str:
    if item.kind != "artifact":
        return NONE
    refitted, frozen = number(item.accuracy, "refit_threshold"), number(item.accuracy, "threshold")
    return NONE if refitted is None or frozen is None else signed(refitted - frozen)


def _size_change(run: RunData, item: Contestant, parent: Contestant) -> str:
    new, old = (number(run.timing(c), "bytes") for c in (item, parent))
    return f"{size(old)} → {size(new)}" if new and old and new != old else NONE


def families(run: RunData, models: list[Contestant]) -> Table:
    """AUC per generator of the given models."""
    names = dict.fromkeys(name for m in models for name in mapping(m.accuracy, "generators"))
    rows = []
    for name in names:
        cells = [mapping(m.accuracy, "generators", name) for m in models]
        use = "held out" if any(c.get("heldout") is True for c in cells) else "trained on"
        images = next((n for c in cells if (n := number(c, "n")) is not None), None)
        aucs = (fixed(number(c, "auc")) for c in cells)
        rows.append(
            (name, "control" if any(is_control(name, c) for c in cells) else use, count(images), *aucs)
        )
    rows.sort(key=lambda row: ("trained on", "held out", "control").index(row[1]))
    titles = ("Generator", "Use", "Images", *(m.short for m in models))
    return Table("AUC per generator", columns(*titles, left=2), tuple(rows), "Intervals are in the pictures.")


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


def missing_note(run: RunData, *names: str) -> str:
    """One line that says which of these files are missing and why; empty if all were read."""
    lost = [f"{name} {run.problems[name]}" for name in names if name in run.problems]
    return f"Missing: {listing(lost)}." if lost else ""
