"""What each INT8 student needed to keep its score, in one sentence: its artifact's manifest says it."""

from collections.abc import Iterator

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.forms import quantizers
from deploy.artifact import QuantizationTry, RepairRecord
from distill.page.formats import signed


def needed(run: RunData) -> list[str]:
    """A sentence for every INT8 student whose repair was judged."""
    return [f"{item.short}: {sentence(record)}" for item, record in _records(run)]


def repairs(run: RunData, chosen: Entry | None) -> list[str]:
    """The same of the forms of the chosen model's network, of those alone that did not pass as they came."""
    return [
        f"{item.short}: {sentence(record)}"
        for item, record in _records(run)
        if len(record.tries) > 1 and (chosen is None or item.name == chosen.name)
    ]


def sentence(record: RepairRecord) -> str:
    """What was needed, with the change of the score on validation images that each try brought."""
    kept = next(item for item in record.tries if item.step == record.kept)
    before = [_failed(item, record) for item in record.tries if item != kept]
    where = f"validation {record.metric} {_change(kept)} against FP32"
    if not record.passed:
        told = f"nothing brought it within {record.limit:g} of FP32; kept is {_what(kept)} ({where})"
    else:
        told = f"{_what(kept)} ({where})"
    return f"{told}{''.join(f'; {text}' for text in before)}."


def _what(item: QuantizationTry) -> str:
    count = item.float_layers
    if item.step == "layers":
        return f"INT8 with {count} layer{'s' * (count != 1)} left in float"
    return {"plain": "INT8 as it came", "training": "trained again with quantization in the loop"}[item.step]


def _failed(item: QuantizationTry, record: RepairRecord) -> str:
    if item.reason:
        return f"{'layers in float' if item.step == 'layers' else item.step}: {item.reason}"
    return f"{_what(item)}: {_change(item)}"


def _change(item: QuantizationTry) -> str:
    return signed(-(item.drop or 0.0))


def _records(run: RunData) -> Iterator[tuple[Entry, RepairRecord]]:
    for item, quantizer in quantizers(run):
        if quantizer.repair and not item.is_teacher:
            yield item, quantizer.repair
