"""The run's gates as its files tell them: data audit, parity, INT8 proof, accuracy."""

from dataclasses import dataclass

from bench.report.data import Json, RunData, interval, lookup, number, sequence
from distill.page.formats import fixed, listing, with_interval


@dataclass(frozen=True)
class Gate:
    """One gate of the run; ``passed`` is None where it was not reached."""

    name: str
    passed: bool | None
    detail: str


def all_gates(run: RunData) -> tuple[Gate, ...]:
    """Every gate of a run, in the order they are met."""
    return _audit_gate(run), _parity_gate(run), _int8_gate(run), _accuracy_gate(run)


def accuracy_checks(run: RunData) -> list[Json]:
    """The checks of the accuracy gate."""
    return [c for c in sequence(run.accuracy, "gate", "checks") if isinstance(c, dict)]


def describe(check: Json) -> str:
    """A check with its value and limit."""
    return f"{check.get('name', '?')} {fixed(number(check, 'value'))}, limit {fixed(number(check, 'limit'))}"


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _audit_gate(run: RunData) -> Gate:
    if not run.audit:
        return Gate("Data audit", None, "no audit.json")
    bad = [str(c.get("name", "?")) for c in sequence(run.audit, "checks") if lookup(c, "passed") is False]
    auc = with_interval(number(run.audit, "metadata_auc"), interval(run.audit, "metadata_ci"))
    detail = f"AUC from metadata alone {auc}, 0.5 is right" + (f"; failed: {listing(bad)}" if bad else "")
    return Gate("Data audit", _flag(run.audit.get("passed")), detail)


def _parity_gate(run: RunData) -> Gate:
    pairs = [p for p in sequence(run.parity, "pairs") if isinstance(p, dict)]
    if not pairs:
        return Gate("Parity", None, "no parity.json" if not run.parity else "no pairs compared")
    bad = [f"{p.get('student')}: {p.get('a')} against {p.get('b')}" for p in pairs if not p.get("passed")]
    judged = [p for p in pairs if number(p, "limit") is not None]
    worst = max((number(p, "max_abs_probability") or 0.0 for p in judged), default=0.0)
    detail = f"{len(pairs)} pairs, largest FP32 difference in probability {worst:.1e}"
    if run.parity.get("passed") is False and not bad and not _fake_int8(run):
        bad = ["parity.json says so without naming a pair"]
    return Gate("Parity", not bad, detail + (f"; failed: {listing(bad)}" if bad else ""))


def _fake_int8(run: RunData) -> list[str]:
    items = (p for p in sequence(run.parity, "int8") if isinstance(p, dict) and not p.get("passed"))
    return [f"{p.get('artifact')} ({p.get('reason') or 'no reason given'})" for p in items]


def _int8_gate(run: RunData) -> Gate:
    items = [p for p in sequence(run.parity, "int8") if isinstance(p, dict)]
    bad = _fake_int8(run)
    if not items:
        return Gate("INT8 proof", None, "no INT8 file was checked")
    good = f"{len(items) - len(bad)} of {len(items)} files really hold INT8"
    return Gate("INT8 proof", not bad, good + (f"; failed: {listing(bad)}" if bad else ""))


def _accuracy_gate(run: RunData) -> Gate:
    checks = accuracy_checks(run)
    passed = _flag(lookup(run.accuracy, "gate", "passed"))
    if passed is None:
        return Gate("Accuracy", None, "no gate in accuracy.json")
    bad = [describe(c) for c in checks if c.get("passed") is False]
    good = f"{len(checks) - len(bad)} of {len(checks)} checks passed"
    return Gate("Accuracy", passed and not bad, good + (f"; failed: {listing(bad)}" if bad else ""))
