"""The verdict: is the small model good enough, how much faster is it here, what was lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.records.accuracy import AccuracyCheck
from bench.report.cautions import cautions
from bench.report.claims import accuracy_claim, speed_claim, unseen_claim
from bench.report.data import RunData
from bench.report.distillation import claims
from bench.report.entry import Entry
from bench.report.evidence import counted, few_groups, groups_of, too_few_for_differences
from bench.report.gates import Gate, accuracy_checks, all_gates, failed_checks
from bench.report.next_steps import next_steps
from bench.report.repair import repairs
from bench.report.stopped import stopped_by_audit, stopped_points, stopped_reason
from bench.report.worst import worst_claim
from distill.evaluation.statistics import MIN_GROUPS
from distill.roster import TEACHER

# Artifacts this close in validation AUC (of K classes: accuracy) count as equal, and the faster one is taken.
EQUAL_SCORE = 0.005
Status = Literal["passed", "failed", "incomplete"]


@dataclass(frozen=True)
class Verdict:
    """What a decision maker reads: a headline, points in order of weight, the gates, and cautions.

    ``few`` says where too few groups of images stand behind a figure.
    """

    status: Status
    headline: str
    points: tuple[tuple[str, str], ...]
    gates: tuple[Gate, ...]
    cautions: tuple[str, ...]
    chosen: Entry | None
    few: tuple[str, ...] = ()

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
    checks: tuple[AccuracyCheck, ...]
    spared: bool

    @property
    def status(self) -> Status:
        return "failed" if self.failed else "incomplete" if self.missing else "passed"

    @property
    def reason(self) -> str:
        name = self.chosen.short if self.chosen else "the small model"
        if guessing := [check for check in self.checks if check.measure == "above_chance"]:
            return f"{self._who(guessing, name)}; do not ship this as it is"
        if self.failed:
            gates = " and ".join(g.name if g.name[1].isupper() else g.name.lower() for g in self.failed)
            rest = f"{name} passed its own checks" if self.spared else "do not ship this as it is"
            return f"the {gates} gate{'s' * (len(self.failed) > 1)} failed; {rest}"
        if self.missing:
            return f"no verdict yet, {', '.join(self.missing)}"
        return f"{name} is good enough by every gate of this run"

    def _who(self, guessing: list[AccuracyCheck], name: str) -> str:
        """What cannot be told from guessing: the teacher first, from whom all others have it."""
        first = next((check for check in guessing if check.model == TEACHER), guessing[0])
        who = "the teacher" if first.model == TEACHER else name
        few = "" if first.value is not None else f": {first.note}"
        return f"{who} cannot be told from guessing{few}"


def judge(run: RunData) -> Verdict:
    """Judge one run from what its records say."""
    if stopped_by_audit(run):
        return _stopped(run)
    gates, chosen = all_gates(run), choose(run)
    found = _findings(run, gates, chosen)
    return Verdict(
        status=found.status,
        headline=f"{found.status.upper()}{_where(run)}: {found.reason}",
        points=tuple(_points(run, found)),
        gates=gates,
        cautions=tuple(cautions(run, chosen)),
        chosen=chosen,
        few=tuple(few_groups(run)),
    )


def _stopped(run: RunData) -> Verdict:
    """Of a run that its data stopped: nothing is said of what never ran."""
    return Verdict(
        status="failed",
        headline=f"FAILED{_where(run)}: {stopped_reason(run)}",
        points=tuple(stopped_points(run)),
        gates=tuple(gate for gate in all_gates(run) if gate.passed is not None),
        cautions=(),
        chosen=None,
    )


def _where(run: RunData) -> str:
    return " on simulated data" if run.simulated else ""


def _findings(run: RunData, gates: tuple[Gate, ...], chosen: Entry | None) -> _Findings:
    missing = [f"{gate.name.lower()} not run" for gate in gates if gate.passed is None]
    row = run.timing(chosen) if chosen else None
    if chosen is None:
        missing.append("no INT8 student was evaluated")
    elif row is None or not row.measured:
        missing.append("latency was not measured")
    if too_few_for_differences(run):
        missing.append(f"only {counted(groups_of(run) or 0)} to test on, where {MIN_GROUPS} are needed")
    failed = [gate for gate in gates if gate.passed is False]
    # The accuracy gate judges every artifact; the one chosen may have passed where another failed.
    others = [gate.name for gate in failed] == ["Accuracy"] and bool(accuracy_checks(run))
    spared = others and chosen is not None and not _failed_by(run, chosen)
    return _Findings(chosen, failed, missing, failed_checks(run), spared)


def choose(run: RunData) -> Entry | None:
    """The INT8 artifact that the verdict speaks of.

    Gate passers come first, then validation AUC or accuracy (never test, which would flatter it); among those within
    ``EQUAL_SCORE`` of the best, the fastest.
    """
    int8 = [item for item in run.entries if item.is_int8 and not item.is_teacher and item.accuracy]
    passing = [item for item in int8 if not _failed_by(run, item)] or int8
    if not passing:
        return None
    best = max(_valid_score(item) for item in passing)
    equal = [item for item in passing if _valid_score(item) >= best - EQUAL_SCORE]
    return min(equal, key=lambda item: _p50(run, item))


def _failed_by(run: RunData, item: Entry) -> list[AccuracyCheck]:
    """The checks that a model failed, of accuracy and on degraded images."""
    return [check for check in failed_checks(run) if check.model == item.key]


def _valid_score(item: Entry) -> float:
    valid = item.split("valid")
    return (valid.score if valid else None) or 0.0


def _p50(run: RunData, item: Entry) -> float:
    row = run.timing(item)
    return float("inf") if row is None or row.p50_ms is None else row.p50_ms


def _points(run: RunData, found: _Findings) -> Iterator[tuple[str, str]]:
    for gate in found.failed:
        yield f"{gate.name} gate failed", f"{gate.detail}."
    if found.failed and (steps := next_steps(run, found.chosen)):
        yield "What to do", steps
    yield "Speed", speed_claim(run, found.chosen)
    yield "Accuracy", accuracy_claim(run, found.chosen)
    yield "Distillation", claims(run, found.chosen)
    if unseen := unseen_claim(run, found.chosen):
        yield "Unseen generators", unseen
    if run.measures.detects:
        yield "Degraded images", worst_claim(run, found.chosen)
    if repaired := repairs(run, found.chosen):
        yield "INT8", " ".join(repaired)
    if not found.failed and (steps := next_steps(run, found.chosen)):
        yield "Next", steps
