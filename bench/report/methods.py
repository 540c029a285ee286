"""Distillation methods beside each other: what each gave one student, over the student alone and over the deployed lesson."""

from collections.abc import Iterator

from bench.records.distillation import ArmScores, Distillation, Split
from bench.report.arms import spread
from bench.report.distillation import interval, verdict_words
from bench.report.measures import BY_STATISTIC
from distill.evaluation.arms import ArmDifference
from distill.page.blocks import Column, Table
from distill.page.formats import NONE, signed
from distill.recipe import DISTILLED


def by_gain(found: Distillation) -> list[ArmScores]:
    """The taught arms, by their mean on the test split, best first."""
    taught = [arm for arm in found.arms if arm.arm in (DISTILLED, *found.variants)]
    return sorted(taught, key=lambda arm: _mean(arm, found), reverse=True)


def methods(student: str, found: Distillation) -> Table | None:
    """The table of methods; None where there is one lesson only."""
    if not found.variants:
        return None
    name, arms = BY_STATISTIC[found.measure].title, by_gain(found)
    rows = tuple((arm.arm, *_cells(arm, found)) for arm in arms)
    titles = (
        "Method", f"{name} test", "Over alone", "Scenes and seeds [95\u00a0% CI]", "Seeds [95\u00a0% CI]", "Verdict",
        f"{name} held-out", "Over alone, held-out", f"Over {DISTILLED} [95\u00a0% CI]",
    )  # fmt: skip
    shown = tuple(Column(title, right=title not in ("Method", "Verdict")) for title in titles)
    strong = frozenset(i for i, arm in enumerate(arms) if arm.arm == DISTILLED)
    return Table(f"{student}: methods beside each other", shown, rows, _note(found), strong)


def _cells(arm: ArmScores, found: Distillation) -> Iterator[str]:
    over, unseen = _over(arm, found, "test"), _over(arm, found, "heldout")
    yield spread(arm.spread("test", found.measure))
    yield NONE if over is None else signed(over.mean)
    yield NONE if over is None else interval(over.ci)
    yield NONE if over is None else interval(over.seeds_ci)
    yield NONE if over is None else verdict_words(over)
    yield spread(arm.spread("heldout", found.measure))
    yield _with_ci(unseen)
    yield _with_ci(_over(arm, found, "test", against=DISTILLED))


def _over(
    arm: ArmScores, found: Distillation, split: Split, *, against: str = "alone"
) -> ArmDifference | None:
    return found.difference(split, arm=arm.arm, against=against)


def _with_ci(difference: ArmDifference | None) -> str:
    return NONE if difference is None else f"{signed(difference.mean)} {interval(difference.ci)}"


def _mean(arm: ArmScores, found: Distillation) -> float:
    known = arm.spread("test", found.measure)
    return known.mean if known else 0.0


def _note(found: Distillation) -> str:
    alone = next((arm for arm in found.arms if arm.arm == "alone"), None)
    without = spread(alone.spread("test", found.measure)) if alone else NONE
    return (
        f"Best first. Equal steps, seeds and first weights in every arm; the student alone has {without}. Where many "
        f"methods are compared, some differ by chance: read intervals, not ranks. “{DISTILLED}” is the lesson that is deployed."
    )
