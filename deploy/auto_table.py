"""What was tried on the way to a smaller artifact, for people and for programs."""

from typing import Final

from rich.table import Table
from rich.text import Text

from deploy.auto_record import AutoRecord, FormTry
from deploy.limits import DRIFT
from distill.page.formats import NONE, count, fixed, milliseconds, signed, size
from distill.page.terminal import console

_STYLES: Final = {"kept": "bold", "refused": "red", "not possible": "dim"}


def print_record(record: AutoRecord, *, as_json: bool) -> None:
    """On standard output."""
    if as_json:
        print(record.model_dump_json(indent=2))
        return
    out = console()
    out.print(auto_table(record))
    for line in lines(record):
        out.print(Text(line), soft_wrap=True)


def auto_table(record: AutoRecord) -> Table:
    """A row a form, FP32 first."""
    metrics = [name for name in record.limits if name != DRIFT]
    table = Table(title=f"{record.artifact} in {record.runtime}", title_justify="left")
    for name in ("Form", "Outcome"):
        table.add_column(name)
    for name in (*metrics, "Largest drift", "Flips", "p50 ms", "of FP32's time", "Size", "Made in s"):
        table.add_column(name, justify="right")
    for tried in record.tries:
        table.add_row(*map(Text, _row(tried, metrics)), style=_STYLES.get(tried.outcome))
    return table


def lines(record: AutoRecord) -> list[str]:
    """What the table cannot tell."""
    kept = record.form(record.kept)
    refused = [f"{tried.name}: {tried.outcome}: {tried.reason}" for tried in record.tries if tried.reason]
    limits = ", ".join(f"{name} {limit:g}" for name, limit in record.limits.items())
    verdict = f"kept: {kept.name}" if record.passed else "no form is within the limits"
    if not record.passed:
        verdict += f"; the artifact holds {kept.name}"
    return [
        *refused,
        f"may be lost: {limits}; calibrated with {record.calibration}; judged on {record.validation}",
        f"times: one inference, {record.threads} thread{'s' * (record.threads > 1)}, on {record.cpu}, all forms in turn",
        *(f"warning: {text}" for text in record.warnings),
        verdict,
    ]


def _row(tried: FormTry, metrics: list[str]) -> tuple[str, ...]:
    return (
        tried.name,
        tried.outcome,
        *(_metric(tried, name) for name in metrics),
        fixed(tried.drift),
        count(tried.flips),
        milliseconds(tried.p50_ms),
        fixed(tried.ratio, 2),
        size(tried.bytes),
        fixed(tried.seconds, 1),
    )


def _metric(tried: FormTry, name: str) -> str:
    if name not in tried.metrics:
        return NONE
    change = f" ({signed(-tried.drops[name], 4)})" if name in tried.drops else ""
    return fixed(tried.metrics[name], 4) + change
