"""The tables of a student's arms: mean and spread over the seeds, the differences, and every single seed."""

from collections.abc import Iterator

from bench.records.distillation import ArmScores, Distillation, Epoch, EpochScores, Split, Spread, Statistic
from bench.report.data import RunData
from bench.report.distillation import GAINS, SPLITS, interval, verdict_words
from bench.report.measures import BY_STATISTIC
from bench.report.tables import table
from distill.evaluation.arms import ArmDifference
from distill.evaluation.statistics import MIN_GROUPS
from distill.page.blocks import Column, Table, columns
from distill.page.formats import NONE, count, fixed, signed
from distill.recipe import DISTILLED
from distill.roster import Arm

ARMS: dict[Arm, str] = {
    "alone": "alone: no teacher",
    "plain": "plain: no teacher, no augmentation",
    "pool": "pool: no teacher, all labels",
    "distilled": "distilled",
}


MANY_REALS = 1000
_DIFFERENCES = (
    *columns(
        "What gave it", "Measure", "Difference", "Scenes and seeds [95\u00a0% CI]", "Seeds [95\u00a0% CI]",
        "Could have shown", left=2,
    ),
    Column("Verdict", right=False),
)  # fmt: skip


def title_of(arm: Arm) -> str:
    """What an arm is called: a variant by its name in the recipe."""
    return ARMS.get(arm, arm)


def in_order(found: Distillation) -> list[ArmScores]:
    """Controls first, then variants, distilled last."""
    order = [*ARMS][:-1] + [*found.variants] + [DISTILLED]
    return sorted(found.arms, key=lambda arm: order.index(arm.arm))


def arms(student: str, found: Distillation) -> Table:
    """Mean and standard deviation over the seeds of every arm, distilled last."""
    wanted = BY_STATISTIC[found.measure].arms
    rows = tuple(
        (
            title_of(arm.arm),
            *(spread(arm.spread(split, name, epoch=epoch)) for _, split, name, epoch in wanted),
            ", ".join(str(seed.best_epoch) for seed in arm.seeds),
        )
        for arm in in_order(found)
    )
    titles = (column[0] for column in wanted)
    seeds = len(found.seeds)
    note = (
        f"Mean ± standard deviation over {seeds} seed{'s' * (seeds != 1)}, at the best epoch on validation unless the "
        f"last is named. Every arm takes as many steps and starts from the same weights.{_few_reals(found)}"
    )
    title = f"{student}: every arm"
    return Table(title, columns("Arm", *titles, "Best epoch"), rows, note, frozenset({len(rows) - 1}))


def spread(found: Spread | None) -> str:
    """``0.950 ± 0.004``, or the bare value of one seed."""
    if found is None:
        return NONE
    return fixed(found.mean) + ("" if found.sd is None else f" ± {fixed(found.sd)}")


def _few_reals(found: Distillation) -> str:
    images = found.images.get("test")
    if images is None or images.n_real is None or images.n_real >= MANY_REALS:
        return ""
    reals, few = count(images.n_real), count(MANY_REALS)
    return f" The test split has {reals} real images, fewer than {few}: TPR at 1\u00a0% FPR is coarse."


def differences(student: str, found: Distillation) -> Table:
    """What each arm gave over another: both intervals, the smallest difference that could have been shown, verdict."""
    compared = [
        (pair, title, found.difference(split, name, arm=pair[0], against=pair[1], epoch=epoch))
        for pair in found.pairs
        for title, split, name, epoch in BY_STATISTIC[found.measure].arms
    ]
    known = [(pair, title, difference) for pair, title, difference in compared if difference]
    rows = tuple(
        (f"{GAINS[pair]}: {pair[0]} − {pair[1]}", title, *_difference(difference))
        for pair, title, difference in known
    )
    few = frozenset(i for i, (_, _, difference) in enumerate(known) if difference.groups < MIN_GROUPS)
    return Table(f"{student}: what each arm gave", _DIFFERENCES, rows, _reading(found), bad=few)


def _reading(found: Distillation) -> str:
    groups = ", ".join(f"{count(images.groups)} on {SPLITS[split]}" for split, images in found.images.items())
    return (
        "Over scenes and seeds: bootstrap that draws both, the same for both arms. Over seeds: t interval of the "
        "differences of seeds. Could have shown: a true difference of this size would be shown four times in five "
        "(2.80 standard errors of the bootstrap). Harm is called where the first interval lies below zero. Below "
        f"{MIN_GROUPS} scenes there is no verdict: {groups}."
    )


def _difference(found: ArmDifference) -> tuple[str, ...]:
    return (
        signed(found.mean),
        interval(found.ci),
        interval(found.seeds_ci),
        fixed(found.detectable),
        verdict_words(found),
    )


def seeds(run: RunData) -> Table:
    """Every seed of every student in every arm, best and last epoch."""
    found = run.accuracy.distillation if run.accuracy else {}
    wanted = run.measures.seeds
    rows = [
        row
        for name, student in found.items()
        for arm in in_order(student)
        for row in _seed_rows(name, arm, wanted)
    ]
    titles = ("Student", "Arm", "Seed", "Epoch", *(title for title, _, _ in wanted))
    return table("Seeds: all of them", titles, rows)


def _seed_rows(
    student: str, arm: ArmScores, wanted: tuple[tuple[str, Split, Statistic], ...]
) -> Iterator[tuple[str, ...]]:
    for training in arm.seeds:
        epochs: tuple[tuple[Epoch, int], ...] = (("best", training.best_epoch), ("last", training.last_epoch))
        for epoch, number in epochs:
            cells = (_score(training.splits.get(split), epoch, name) for _, split, name in wanted)
            yield student, arm.arm, str(training.seed), f"{epoch}, {number}", *map(fixed, cells)


def _score(scores: EpochScores | None, epoch: Epoch, statistic: Statistic) -> float | None:
    if scores is None:
        return None
    return (scores.best if epoch == "best" else scores.last).value(statistic)
