"""The machine, the versions, the time, and the command that made the run."""

from collections.abc import Iterator, Sequence

from bench.report.data import RunData
from bench.report.tables import table
from distill.page.blocks import Table
from distill.page.formats import count, fixed, percent


def machine(run: RunData) -> Table:
    """The machine and the versions, as the bench described them, else the run."""
    rows = [(name, text) for name, text in _items(run) if text]
    return table("Environment", ("Item", "Value"), rows)


def _items(run: RunData) -> Iterator[tuple[str, str]]:
    if run.environment:
        yield "created", run.environment.created
    found = run.bench.machine if run.bench else run.environment.machine if run.environment else None
    if found:
        about = found.model_dump(exclude={"versions", "steal_share"})
        yield from ((name.replace("_", " "), _text(value)) for name, value in about.items())
    if run.bench:
        stolen = run.bench.machine.steal_share
        yield "CPU time stolen while timing", "" if stolen is None else percent(stolen)
        yield "rounds of timing", count(run.bench.rounds)
    if found:
        yield from ((f"version of {package}", version) for package, version in found.versions.items())


def _text(value: str | bool | float | Sequence[str] | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3g}"
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int) else ", ".join(value)


def stages(run: RunData) -> Table:
    """Seconds per stage."""
    spent = run.environment.seconds if run.environment else {}
    rows = [(name, fixed(seconds, 1)) for name, seconds in spent.items()]
    note = f"Together {sum(spent.values()) / 60:.1f} minutes." if rows else ""
    return table("Time per stage", ("Stage", "Seconds"), rows, note=note)


def command(run: RunData) -> str:
    """The command that made the run, or a guess from the recipe's name."""
    return run.environment.command if run.environment else f"edgeproof run {run.name}"
