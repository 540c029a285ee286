"""The verdict: is the small model good enough, how much faster is it here, what was lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.records.accuracy import AccuracyCheck
from bench.report.cautions import cautions
from bench.report.claims import accuracy_claim, speed_claim
from bench.report.data import RunData
from bench.report.distillation import claims
from bench.report.entry import Entry
from bench.report.gates import Gate, accuracy_checks, all_gates
from bench.report.repair import repairs

# Artifacts this close in validation AUC (of K classes: accuracy) count as equal, and the faster one is taken.
EQUAL_SCORE = 0.005
Status = Literal["passed", "failed", "incomplete"]


@dataclass(frozen=True)
class Verdict:
    """What a decision maker reads: a headline, points in order of weight, the gates, and cautions."""

    status: Status
    headline: str
    points: tuple[tuple[str, str], ...]
    gates: tuple[Gate, ...]
    cautions: tuple[str, ...]
    chosen: Entry | None

    @property
    def lines(self) -> tuple[str, ...]:
        """Headline and points as plain sentences."""
        return (self.headline, *(f"{label}: {text}" for label, text in self.points))


@dataclass(frozen=True)
class _Findings:
    """What the verdict rests on."""

    chosen: Entry | None
    failed: list[Gate]
    missing: list[str]
    guess: bool
    spared: bool

    @property
    def status(self) -> Status:
        return "failed" if self.failed or self.guess else "incomplete" if self.missing else "passed"

    @property
    def reason(self) -> str:
        name = self.chosen.short if self.chosen else "the small model"
        if self.failed:
            gates = " and ".join(g.name if g.name[1].isupper() else g.name.lower() for g in self.failed)
            rest = f"{name} passed its own checks" if self.spared else "do not ship this as it is"
            return f"the {gates} gate{'s' * (len(self.failed) > 1)} failed; {rest}"
        if self.guess:
            return f"{name} cannot be told from guessing, though every gate that ran passed"
        if self.missing:
            return f"no verdict yet, {', '.join(self.missing)}"
        return f"{name} is good enough by every gate of this run"


def judge(run: RunData) -> Verdict:
    """Judge one run from what its records say."""
    gates, chosen = all_gates(run), choose(run)
    found = _findings(run, gates, chosen)
    where = " on simulated data" if run.simulated else ""
    return Verdict(
        status=found.status,
        headline=f"{found.status.upper()}{where}: {found.reason}",
        points=tuple(_points(run, found)),
        gates=gates,
        cautions=tuple(cautions(run, chosen)),
        chosen=chosen,
    )


def _findings(run: RunData, gates: tuple[Gate, ...], chosen: Entry | None) -> _Findings:
    missing = [f"{gate.name.lower()} not run" for gate in gates if gate.passed is None]
    row = run.timing(chosen) if chosen else None
    if chosen is None:
        missing.append("no INT8 student was evaluated")
    elif row is None or not row.measured:
        missing.append("latency was not measured")
    guess = chosen is not None and _no_better_than_guessing(chosen)
    failed = [gate for gate in gates if gate.passed is False]
    # The accuracy gate judges every artifact; the one chosen may have passed where another failed.
    others = [gate.name for gate in failed] == ["Accuracy"] and bool(accuracy_checks(run))
    spared = others and chosen is not None and not failed_checks(run, chosen) and not guess
    return _Findings(chosen, failed, missing, guess, spared)


def choose(run: RunData) -> Entry | None:
    """The INT8 artifact that the verdict speaks of.

    Gate passers come first, then validation AUC or accuracy (never test, which would flatter it); among those within
    ``EQUAL_SCORE`` of the best, the fastest.
    """
    int8 = [item for item in run.entries if item.is_int8 and not item.is_teacher and item.accuracy]
    passing = [item for item in int8 if not failed_checks(run, item)] or int8
    if not passing:
        return None
    best = max(_valid_score(item) for item in passing)
    equal = [item for item in passing if _valid_score(item) >= best - EQUAL_SCORE]
    return min(equal, key=lambda item: _p50(run, item))


def failed_checks(run: RunData, item: Entry) -> list[AccuracyCheck]:
    """The checks of the accuracy gate that a model failed."""
    return [check for check in accuracy_checks(run) if check.model == item.key and not check.passed]


def _valid_score(item: Entry) -> float:
    valid = item.split("valid")
    return (valid.score if valid else None) or 0.0


def _p50(run: RunData, item: Entry) -> float:
    row = run.timing(item)
    return float("inf") if row is None or row.p50_ms is None else row.p50_ms


def _no_better_than_guessing(item: Entry) -> bool:
    interval = item.test.score_ci if item.test else None
    return item.test is not None and interval is not None and interval[0] <= item.test.guess


def _points(run: RunData, found: _Findings) -> Iterator[tuple[str, str]]:
    for gate in found.failed:
        yield f"{gate.name} gate failed", f"{gate.detail}."
    yield "Speed", speed_claim(run, found.chosen)
    yield "Accuracy", accuracy_claim(run, found.chosen)
    if repaired := repairs(run):
        yield "INT8", " ".join(repaired)
    yield "Distillation", claims(run)
