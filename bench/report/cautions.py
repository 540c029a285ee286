"""What a reader must know before trusting the verdict."""

from collections.abc import Iterator

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.forms import cause
from bench.report.gates import accuracy_checks, check_in_words
from bench.report.speed import beyond_spread
from distill.page.formats import milliseconds

CONTROL_LIMIT = 0.05
MANY_REALS = 1000


def cautions(run: RunData, chosen: Entry | None) -> Iterator[str]:
    """One sentence for each."""
    if run.simulated:
        yield "The images are simulated: nothing here says how the model does on real photographs."
    yield from _leaks(run)
    yield from _slow_int8(run)
    if run.bench and not run.bench.machine.has_int8_dot:
        yield "This CPU has no INT8 dot product (VNNI or AMX): INT8 gains less speed than on one with it."
    yield from _accepted(run)
    reals = chosen.test.n_real if chosen and chosen.test else None
    if reals is not None and reals < MANY_REALS:
        yield f"The test split has {reals} real images; rates at a fixed false-positive rate are coarse."


def _leaks(run: RunData) -> Iterator[str]:
    for item in run.entries:
        control = item.split("control")
        if control and control.auc is not None and abs(control.auc - 0.5) > CONTROL_LIMIT:
            found = f"{item.short} has AUC {control.auc:.3f} on the identity control"
            yield f"{found}; 0.5 is right: data may leak."


def _slow_int8(run: RunData) -> Iterator[str]:
    for item in run.entries:
        if not item.is_int8:
            continue
        who, row = item.identity, run.timing(item)
        size = run.trained_size(who.name)
        fp32 = run.row(model=who.name, runtime=who.runtime, precision="fp32", size=size)
        if row and fp32 and row.measured and fp32.measured and beyond_spread(fp32, row):
            ours, theirs = milliseconds(row.p50_ms), milliseconds(fp32.p50_ms)
            found = (
                f"{item.short} is slower here than its FP32: {ours} against {theirs} ms. Ship FP32 instead."
            )
            yield f"{found} Its profile: {why}." if (why := cause(run, item)) else found


def _accepted(run: RunData) -> Iterator[str]:
    for check in accuracy_checks(run):
        if check.accepted:
            yield f"The accuracy check {check_in_words(check)} failed and the recipe accepted it."
    for question in run.audit.checks if run.audit else ():
        if question.accepted:
            found = f"{question.value:.3g}, limit {question.limit or 0.0:.3g}"
            yield f"The audit check {question.name} failed ({found}) and the recipe accepted it."
