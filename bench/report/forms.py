"""The forms of ONNX Runtime's INT8 that were timed when each artifact was made, and why a slow one is slow."""

from collections.abc import Iterator

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.tables import table
from deploy.artifact import QuantizationRecord, read_manifest
from deploy.profile import explain_slow, profile_artifact
from deploy.quantization_record import FormRecord
from distill.errors import EdgeproofError
from distill.forms import RUNTIMES
from distill.machine import processor
from distill.page.blocks import Table
from distill.page.formats import NONE, fixed, size

_TITLES = (
    "Model",
    "Form",
    "Of FP32's time",
    "10th to 90th percentile",
    "Largest change of a logit",
    "File",
    "Outcome",
)
_NOTE = (
    "One thread, in turns with FP32, where the run quantized; the fastest that keeps its logits is kept. The bench's own "
    "times, elsewhere in this report, stand apart."
)


def timed_forms(run: RunData) -> Table:
    """A row for every form of every INT8 artifact that was chosen among several."""
    rows = [
        (item.short, *_cells(form))
        for item, record in quantizers(run)
        for form in record.forms
    ]  # fmt: skip
    return table("ONNX Runtime's INT8: the forms that were timed", _TITLES, rows, note=_NOTE)


def cause(run: RunData, item: Entry) -> str:
    """Why an INT8 artifact is slow on this machine; nothing where it was timed on another, or is not here."""
    runtime = next((name for name in RUNTIMES if name == item.identity.runtime), None)
    timed_on = run.bench.machine.cpu_model if run.bench else None
    if runtime is None or timed_on != processor().cpu_model:
        return ""
    try:
        return explain_slow(profile_artifact(run.path / "artifacts" / item.key, runtime=runtime))
    except EdgeproofError:  # only some files of the run were kept, or the runtime is not installed
        return ""


def quantizers(run: RunData) -> Iterator[tuple[Entry, QuantizationRecord]]:
    """What the manifests that are here say of how each INT8 artifact was made."""
    for item in run.entries:
        if not item.is_int8:
            continue
        try:
            quantizer = read_manifest(run.path / "artifacts" / item.key).quantizer
        except EdgeproofError:  # only some files of the run were kept
            continue
        if quantizer:
            yield item, quantizer


def _cells(form: FormRecord) -> tuple[str, ...]:
    low, high = form.ratio_range or (None, None)
    return (
        form.form,
        fixed(form.ratio, 2),
        NONE if low is None else f"{fixed(low, 2)} to {fixed(high, 2)}",
        fixed(form.drift),
        size(form.bytes),
        "kept" if form.kept else form.reason or "slower",
    )
