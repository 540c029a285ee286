"""The verdict: is the small model good enough, how much faster is it here, what was lost. Claims no more than
was measured: no speed-up inside the spread, none for distillation with fewer than three seeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench.report.data import (
    Contestant,
    Json,
    RunData,
    interval,
    lookup,
    mapping,
    number,
    sequence,
)
from bench.report.gates import Gate, accuracy_checks, all_gates, describe
from bench.report.speed import beats_reported, beats_resnet18, beyond_spread, measured, noisy
from distill.page.formats import milliseconds, signed, size, times, with_interval

LEAST_SEEDS = 3
CONTROL_LIMIT = 0.05
# Artifacts this close in validation AUC count as equal, and the faster one is taken.
EQUAL_AUC = 0.005
MANY_REALS = 1000
_HEADLINES = {"passed": "PASSED", "failed": "FAILED", "incomplete": "INCOMPLETE"}


@dataclass(frozen=True)
class Verdict:
    """What a decision maker reads: a headline, points in order of weight, the gates, and cautions."""

    status: Literal["passed", "failed", "incomplete"]
    headline: str
    points: tuple[tuple[str, str], ...]
    gates: tuple[Gate, ...]
    cautions: tuple[str, ...]
    chosen: Contestant | None

    @property
    def lines(self) -> tuple[str, ...]:
        """Headline and points as plain sentences."""
        return (self.headline, *(f"{label}: {text}" for label, text in self.points))


def judge(run: RunData) -> Verdict:
    """Judge one run from what its files say."""
    gates = all_gates(run)
    chosen = choose(run)
    missing = [f"{g.name.lower()} not run" for g in gates if g.passed is None]
    if chosen is None:
        missing.append("no INT8 student was evaluated")
    elif not measured(run.timing(chosen)):
        missing.append("latency was not measured")
    guess = chosen is not None and _no_better_than_guessing(chosen)
    failed = [g for g in gates if g.passed is False]
    # The accuracy gate judges every artifact; the one chosen may have passed where another failed.
    others = [g.name for g in failed] == ["Accuracy"] and bool(accuracy_checks(run))
    spared = others and chosen is not None and not _failed_checks(run, chosen) and not guess
    status: Literal["passed", "failed", "incomplete"] = (
        "failed" if failed or guess else "incomplete" if missing else "passed"
    )
    where = " on simulated data" if run.simulated else ""
    headline = f"{_HEADLINES[status]}{where}: {_reason(chosen, failed, missing, guess, spared)}"
    points = tuple(_points(run, chosen, failed))
    return Verdict(status, headline, points, gates, tuple(_cautions(run, chosen)), chosen)


def _reason(
    chosen: Contestant | None, failed: list[Gate], missing: list[str], guess: bool, spared: bool
) -> str:
    if failed:
        names = " and ".join(g.name if g.name[1].isupper() else g.name.lower() for g in failed)
        rest = f"{chosen.short} passed its own checks" if spared and chosen else "do not ship this as it is"
        return f"the {names} gate{'s' * (len(failed) > 1)} failed; {rest}"
    if guess and chosen:
        return f"{chosen.short} cannot be told from guessing, though every gate that ran passed"
    if missing:
        return f"no verdict yet, {', '.join(missing)}"
    return f"{chosen.short if chosen else 'the small model'} is good enough by every gate of this run"


def choose(run: RunData) -> Contestant | None:
    """The INT8 artifact that the verdict speaks of.

    Gate passers come first, then validation AUC (never test, which would flatter it); among those within
    ``EQUAL_AUC`` of the best, the fastest.
    """
    int8 = [c for c in run.contestants if c.precision == "int8" and c.student and c.accuracy]
    passing = [c for c in int8 if not _failed_checks(run, c)] or int8
    if not passing:
        return None
    best = max(_valid_auc(c) for c in passing)
    equal = [c for c in passing if _valid_auc(c) >= best - EQUAL_AUC]
    return min(equal, key=lambda c: _p50(run, c))


def _valid_auc(item: Contestant) -> float:
    return number(item.accuracy, "splits", "valid", "auc") or 0.0


def _p50(run: RunData, item: Contestant) -> float:
    found = number(run.timing(item), "p50_ms")
    return float("inf") if found is None else found


def _failed_checks(run: RunData, item: Contestant) -> list[Json]:
    names = (item.key, f"{item.student} {item.runtime} {item.precision}")
    return [
        c
        for c in accuracy_checks(run)
        if c.get("passed") is False and str(c.get("name", "")).startswith(tuple(f"{name} " for name in names))
    ]


def _no_better_than_guessing(item: Contestant) -> bool:
    pair = interval(item.accuracy, "splits", "test", "auc_ci")
    return pair is not None and pair[0] <= 0.5


def _points(run: RunData, chosen: Contestant | None, failed: list[Gate]) -> Iterator[tuple[str, str]]:
    for gate in failed:
        yield f"{gate.name} gate failed", f"{gate.detail}."
    yield "Speed", _speed(run, chosen)
    yield "Accuracy", _accuracy(run, chosen)
    yield "Distillation", _distillation(run)


def _speed(run: RunData, chosen: Contestant | None) -> str:
    row = run.timing(chosen) if chosen else {}
    if not chosen or not measured(row):
        return "not measured, so no speed-up is claimed."
    pixels, large = run.trained_size(chosen.bench_model), run.timing(chosen, size=run.large)
    alike = pixels != run.large and measured(large)
    parts = [_pace(run, large, run.large) if alike else _pace(run, row, pixels)]
    if alike:
        parts.append(
            f"{milliseconds(number(row, 'p50_ms'))} ms at {pixels}×{pixels}, the size it was trained at."
        )
    if noisy(run, row) or noisy(run, large):
        parts.append("The machine was noisy while timing: read this as an order, not as figures.")
    return " ".join([*parts, *_bytes(run, chosen, row)])


def _pace(run: RunData, row: Json, pixels: int | None) -> str:
    """One sentence: the median and the two ratios, each only if it lies outside the spread."""
    reported, here = "not shown to beat the reported 0.458 s", "ResNet18 was not timed here"
    if beats_reported(row):
        reported = f"{times(number(row, 'speedup_vs_reference'))} the speed of the reported 0.458 s"
    if beats_resnet18(run, row):
        ratio = times(number(row, "speedup_vs_resnet18_eager"))
        here = f"{ratio} the speed of ResNet18 timed here{_other_size(run, pixels)}"
    elif run.reference_row:
        here = "no speed-up over ResNet18 timed here outside the spread"
    median = milliseconds(number(row, "p50_ms"))
    return f"{median} ms per image at {pixels}×{pixels}: {here}, {reported} (other hardware)."


def _other_size(run: RunData, pixels: int | None) -> str:
    size_there = run.reference_row.get("input_size")
    return "" if size_there == pixels else f" at {size_there}×{size_there}"


def _bytes(run: RunData, chosen: Contestant, row: Json) -> Iterator[str]:
    teacher = run.find(student="", kind="teacher")
    old, new = number(run.timing(teacher), "bytes") if teacher else None, number(row, "bytes")
    if old and new:
        yield f"File: {size(new)}, the teacher's {size(old)}."


def _accuracy(run: RunData, chosen: Contestant | None) -> str:
    teacher = run.find(student="", kind="teacher")
    if not chosen:
        known = _auc(teacher, "test") if teacher else None
        return f"no INT8 student was evaluated{f'; the teacher has AUC {known}' if known else ''}."
    text = f"AUC {_auc(chosen, 'test')} where 1 is perfect and 0.5 is guessing"
    if teacher:
        text += f"; the teacher {_auc(teacher, 'test')}, so {_difference(run, chosen, teacher)} in all"
    parent = run.sibling(chosen, precision="fp32") or run.find(student=chosen.student, kind="student")
    if parent:
        text += f", of which INT8 {_difference(run, chosen, parent)}"
    if mapping(chosen.accuracy, "splits", "heldout"):
        text += f". On generators it never saw: AUC {_auc(chosen, 'heldout')}"
    return text + "."


def _auc(item: Contestant, split: str) -> str:
    found = mapping(item.accuracy, "splits", split)
    return with_interval(number(found, "auc"), interval(found, "auc_ci"))


def _difference(run: RunData, item: Contestant, other: Contestant) -> str:
    pair = compared(run, item.key, other.key)
    if pair:
        return with_interval(pair[0], pair[1], sign=True)
    ours, theirs = (number(c.accuracy, "splits", "test", "auc") for c in (item, other))
    return signed(ours - theirs) if ours is not None and theirs is not None else "not known"


def compared(run: RunData, after: str, before: str) -> tuple[float, tuple[float, float] | None] | None:
    """AUC of ``after`` minus AUC of ``before`` from the paired comparisons, whichever way round they are."""
    for item in sequence(run.accuracy, "comparisons"):
        value, pair = number(item, "auc_difference"), interval(item, "ci")
        if value is None:
            continue
        if (lookup(item, "a"), lookup(item, "b")) == (after, before):
            return value, pair
        if (lookup(item, "a"), lookup(item, "b")) == (before, after):
            return -value, (-pair[1], -pair[0]) if pair else None
    return None


def distillation_claim(entry: Json) -> str:
    """What may be said of distillation for one student, given its seeds."""
    seeds = len(sequence(entry, "seeds"))
    difference = mapping(entry, "difference")
    said = str(difference.get("verdict") or "")
    if seeds < LEAST_SEEDS or said == "too few seeds" or not said:
        return f"no claim, {seeds} seed{'s' * (seeds != 1)} where at least {LEAST_SEEDS} are needed"
    change = with_interval(number(difference, "auc_mean"), interval(difference, "auc_ci"), sign=True)
    return f"{said} (AUC {change} over {seeds} seeds)"


def _distillation(run: RunData) -> str:
    entries = mapping(run.accuracy, "distillation")
    if not entries:
        return "not evaluated, so nothing is claimed."
    return "; ".join(f"{name} {distillation_claim(mapping(entries, name))}" for name in entries) + "."


def _cautions(run: RunData, chosen: Contestant | None) -> Iterator[str]:
    if run.simulated:
        yield "The images are simulated: nothing here says how the model does on real photographs."
    for item in run.contestants:
        auc = number(item.accuracy, "splits", "control", "auc")
        if auc is not None and abs(auc - 0.5) > CONTROL_LIMIT:
            yield f"{item.short} has AUC {auc:.3f} on the identity control; 0.5 is right: data may leak."
    yield from _slow_int8(run)
    if lookup(run.bench, "machine", "has_int8_dot") is False:
        yield "This CPU has no INT8 dot product (VNNI or AMX): INT8 gains less speed than on one with it."
    for check in accuracy_checks(run):
        if check.get("accepted") is True:
            yield f"The accuracy check {describe(check)} failed and the recipe accepted it."
    for check in sequence(run.audit, "checks"):
        if lookup(check, "accepted") is True:
            value, limit = number(check, "value") or 0.0, number(check, "limit") or 0.0
            found = f"{value:.3g}, limit {limit:.3g}"
            yield f"The audit check {lookup(check, 'name')} failed ({found}) and the recipe accepted it."
    reals = number(chosen.accuracy, "splits", "test", "n_real") if chosen else None
    if reals is not None and reals < MANY_REALS:
        yield f"The test split has {reals:.0f} real images; rates at a fixed false-positive rate are coarse."


def _slow_int8(run: RunData) -> Iterator[str]:
    for item in run.contestants:
        if item.precision != "int8":
            continue
        row = run.timing(item)
        key = {"model": item.bench_model, "runtime": item.runtime, "precision": "fp32"}
        parent = run.row(**key, size=run.trained_size(item.bench_model))
        if measured(row) and measured(parent) and beyond_spread(parent, row):
            ours, theirs = (milliseconds(number(r, "p50_ms")) for r in (row, parent))
            yield f"{item.short} is slower here than its FP32: {ours} against {theirs} ms. Ship FP32 instead."
