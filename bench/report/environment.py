"""The machine, the versions, the time, and the command that made the run."""

from collections.abc import Iterator
from typing import Any

from bench.report.data import RunData
from bench.report.tables import table
from distill.page.blocks import Table
from distill.page.formats import count, fixed, percent


def environment(run: RunData) -> Table:
    """The machine and the versions, as the bench and the run described them."""
    rows = list(dict.fromkeys((name, text) for name, text in _items(run) if text))
    return table("Environment", ("Item", "Value"), rows)


def _items(run: RunData) -> Iterator[tuple[str, str]]:
    made, timed = run.environment, run.bench
    if made:
        yield from _flat(made.model_dump(include={"created", "edgeproof", "python", "platform"}))
    machine = timed.machine if timed else made.machine if made else None
    if machine:
        yield from _flat(machine.model_dump(exclude={"steal_share"}))
    if timed:
        stolen = timed.machine.steal_share
        yield "CPU time stolen while timing", "" if stolen is None else percent(stolen)
        yield "rounds of timing", count(timed.rounds)
    if made:
        yield from ((f"version of {package}", version) for package, version in made.versions.items())


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key} ")
        elif isinstance(item, list | tuple):
            yield name, ", ".join(str(part) for part in item)
        elif isinstance(item, bool):
            yield name, "yes" if item else "no"
        elif isinstance(item, float):
            yield name, f"{item:,.3g}"
        elif item is not None:
            yield name, str(item)


def stages(run: RunData) -> Table:
    """Seconds per stage."""
    spent = run.environment.seconds if run.environment else {}
    rows = [(name, fixed(seconds, 1)) for name, seconds in spent.items()]
    note = f"Together {sum(spent.values()) / 60:.1f} minutes." if rows else ""
    return table("Time per stage", ("Stage", "Seconds"), rows, note=note)


def command(run: RunData) -> str:
    """The command that made the run, or a guess from the recipe's name."""
    return run.environment.command if run.environment else f"edgeproof run {run.name}"
