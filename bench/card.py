"""What a run measured of each of its artifacts, for the artifact's model card. Torch-free."""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from bench.records.accuracy import Comparison
from bench.records.latency import Row, Scope
from bench.report.cells import RATIOS, latency, marks, speedups
from bench.report.costs import flipped
from bench.report.data import RunData, load_run
from bench.report.dataset import generator_counts, images
from bench.report.degradations import detail, introduction
from bench.report.entry import Entry
from bench.report.families import generator_groups, metrics_on
from bench.report.gates import accuracy_checks, check_in_words
from bench.report.measures import cells, titles
from bench.report.repair import sentence
from bench.report.speed import beyond_spread, noisy
from bench.report.tables import table
from deploy.artifact import MANIFEST_NAME, read_manifest
from deploy.card import Evidence, Result, write_card
from distill.page.blocks import Block, Points, Section, Table, Terms, Text, columns
from distill.page.formats import count, fixed, milliseconds, percent, signed, size, with_interval

MANY_REALS = 1000
_NOTHING = Text("Not measured.")
_SPLITS = {"test": "test", "heldout": "held-out generators", "control": "identity control (0.5 is right)"}
_RESULTS = (
    ("auc", "roc_auc", "AUC"),
    ("accuracy", "accuracy", "accuracy"),
    ("ap", "average_precision", "average precision"),
    ("f1", "f1", "F1 at the threshold"),
    ("macro_f1", "f1", "macro F1"),
    ("brier", "brier_score", "Brier score"),
)


def write_cards(folder: Path) -> list[Path]:
    """Write the card of every artifact that a run judged; those that are there.

    Args:
        folder: of the run.

    Returns:
        The artifacts' folders.

    Raises:
        EdgeproofError: no such folder, or a manifest that cannot be read.
    """
    run = load_run(folder)
    written = []
    for item in run.entries:
        place = folder / "artifacts" / item.key
        if item.is_artifact and (place / MANIFEST_NAME).is_file():
            write_card(place, evidence_of(run, item))
            written.append(place)
    return written


def evidence_of(run: RunData, item: Entry) -> Evidence:
    """All that a run's records say of one artifact."""
    return Evidence(
        data=[found for found in (images(run), generator_counts(run)) if found.rows],
        sections=[
            Section("Accuracy", _filled(_splits(run, item), _generators(item))),
            Section("Degraded images", _filled(*_degraded(run, item))),
            Section("Against what it was made from", _filled(*_cost(run, item))),
            Section("Speed", _filled(*_speed(run, item))),
        ],
        limits=list(_limits(run, item)),
        results=list(_results(item)),
    )


def _filled(*blocks: Block | None) -> list[Block]:
    kept = [b for b in blocks if b is not None and not (isinstance(b, Table) and not b.rows)]
    return kept or [_NOTHING]


def _splits(run: RunData, item: Entry) -> Table:
    measures = run.measures
    wanted = (*measures.headline, *measures.verdicts)
    rates = ("Generated caught (TPR)", "Real kept (TNR)") if measures.detects else ()
    rows = [
        (
            words,
            count(found.n),
            *cells(found, wanted),
            *([fixed(found.tpr), fixed(found.tnr)] if rates else []),
        )
        for split, words in _SPLITS.items()
        if (found := item.split(split))
    ]
    note = f"{measures.verdicts_note} Intervals: 95 % bootstrap by group (scene)." + (
        " The images are simulated." if run.simulated else ""
    )
    return table("By split", ("Split", "Images", *titles(wanted), *rates), rows, note=note)


def _generators(item: Entry) -> Table:
    """AUC of each generator against the real images of its split, with its interval."""
    rows = tuple(
        (name, use, count(found.n), with_interval(found.auc, found.auc_ci))
        for use, names in generator_groups([item])
        for name in names
        if (found := metrics_on(item, name))
    )
    note = "Against all real images of the same split; 95 % bootstrap by group."
    return Table("By generator", columns("Generator", "Use", "Images", "AUC [95 % CI]", left=2), rows, note)


def _degraded(run: RunData, item: Entry) -> Iterator[Block | None]:
    swept = item if item.is_int8 else run.entry(item.identity.parent)
    found = detail(run, swept)
    if found is None:
        return
    yield introduction(run)
    if swept is not item:
        yield Text("The network itself was judged here; the parity gate holds this file to the same answers.")
    yield found


def _cost(run: RunData, item: Entry) -> Iterator[Block | None]:
    parent = run.entry(item.identity.parent)
    if parent is None:
        return
    terms = [*_compared(run, item), *_sizes(run, item, parent), *_repaired(run, item)]
    if terms:
        yield Text(f"Against {parent.short}, on the test split:")
        yield Terms(tuple(terms))
    checks = [check for check in accuracy_checks(run) if check.model == item.key]
    if checks:
        yield Points([f"{check_in_words(c)}: {'passed' if c.passed else 'FAILED'}" for c in checks])


def _compared(run: RunData, item: Entry) -> Iterator[tuple[str, str]]:
    found = _comparison(run, item)
    if found is None:
        return
    if found.difference is not None:
        yield f"{run.measures.title} change [95 % CI]", with_interval(found.difference, found.ci, sign=True)
    yield "Verdicts that differ", flipped(found.flips)
    judged = item.accuracy
    if judged and judged.refit_threshold is not None and judged.threshold is not None:
        yield "Threshold drift", signed(judged.refit_threshold - judged.threshold)


def _comparison(run: RunData, item: Entry) -> Comparison | None:
    found = run.accuracy.comparisons if run.accuracy else ()
    return next((c for c in found if (c.a, c.b) == (item.key, item.identity.parent)), None)


def _sizes(run: RunData, item: Entry, parent: Entry) -> Iterator[tuple[str, str]]:
    ours, theirs = run.timing(item), run.timing(parent)
    if ours is None or theirs is None or not (ours.measured and theirs.measured):
        return
    if ours.bytes and theirs.bytes:
        yield "Size", f"{size(theirs.bytes)} → {size(ours.bytes)}"
    yield (
        "Time, p50",
        f"{milliseconds(theirs.p50_ms)} → {milliseconds(ours.p50_ms)} ms, {_faster(ours, theirs)}",
    )


def _faster(ours: Row, theirs: Row) -> str:
    if beyond_spread(ours, theirs):
        return "faster by more than the spread"
    return (
        "slower by more than the spread" if beyond_spread(theirs, ours) else "no difference beyond the spread"
    )


def _repaired(run: RunData, item: Entry) -> Iterator[tuple[str, str]]:
    quantizer = read_manifest(run.path / "artifacts" / item.key).quantizer
    if quantizer and quantizer.repair:
        yield "What INT8 needed", sentence(quantizer.repair)


def _speed(run: RunData, item: Entry) -> Iterator[Block | None]:
    sizes = dict.fromkeys((run.trained_size(item.name), run.large))
    scopes: tuple[tuple[str, Scope], ...] = (("model only", "model"), ("from file to answer", "end_to_end"))
    timed = [
        (words, run.timing(item, size=pixels, scope=scope)) for pixels in sizes for words, scope in scopes
    ]
    rows = [(words, *_times(row)) for words, row in timed if row]
    if not rows or run.bench is None:
        return
    machine = run.bench.machine
    dot = "with" if machine.has_int8_dot else "without"
    stolen = (
        ""
        if machine.steal_share is None
        else f"; {percent(machine.steal_share)} of the CPU time was stolen while timing"
    )
    heads = ("Scope", "Input", "Threads", "min ms", "p50 ms", "p90 ms", "p99 ms", *RATIOS)
    note = f"Batch 1, contestants interleaved round by round. {marks(rows)} The 0.458 s were reported on other hardware."
    yield table(f"On {machine.cpu_model}", heads, rows, note=note)
    yield Text(f"{machine.cores or 'unknown'} cores, {dot} INT8 dot products (VNNI or AMX){stolen}.")
    if row := run.timing(item):
        yield Text(
            f"Files {size(row.bytes)}, {count(row.params)} parameters, {count(row.macs)} multiply-accumulates."
        )


def _times(row: Row) -> tuple[str, ...]:
    found = (latency(row, attrgetter(name)) for name in ("min_ms", "p50_ms", "p90_ms", "p99_ms"))
    return f"{row.input_size}×{row.input_size}", str(row.threads), *found, *speedups(row)


def _limits(run: RunData, item: Entry) -> Iterator[str]:
    reals = item.test.n_real if item.test else None
    if reals is not None and reals < MANY_REALS:
        yield f"The test split has {count(reals)} real images: rates at a fixed false-positive rate are coarse."
    ours = run.timing(item)
    yield from _slower(run, item, ours)
    if noisy(run, ours):
        yield "The machine was noisy while timing: read latencies as an order, not as figures."
    for check in accuracy_checks(run):
        if check.model == item.key and (check.accepted or not check.passed):
            yield f"Failed: {check_in_words(check)}{' (accepted by the recipe)' * check.accepted}."


def _slower(run: RunData, item: Entry, ours: Row | None) -> Iterator[str]:
    parent = run.entry(item.identity.parent)
    theirs = run.timing(parent) if parent else None
    if run.bench and item.is_int8 and ours and theirs and beyond_spread(theirs, ours):
        times = f"{milliseconds(ours.p50_ms)} against {milliseconds(theirs.p50_ms)} ms"
        yield f"On {run.bench.machine.cpu_model} it is slower than its FP32 form: {times}."


def _results(item: Entry) -> Iterator[Result]:
    for split in ("test", "heldout"):
        found = item.split(split)
        for field, metric, name in _RESULTS if found else ():
            value = getattr(found, field)
            if value is not None:
                yield Result(split=split, metric=metric, name=name, value=value)
