"""What may be said of distillation, in sentences: both intervals, what they show, and what could have been shown."""

from collections.abc import Iterator

from bench.records.distillation import Distillation, Split, Statistic
from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.measures import NAMES
from distill.evaluation.arms import ArmDifference
from distill.evaluation.statistics import MIN_GROUPS, MIN_SEEDS
from distill.page.formats import NONE, count, fixed, signed, with_interval
from distill.roster import Arm

GAINS: dict[tuple[Arm, Arm], str] = {
    ("distilled", "alone"): "Distillation",
    ("distilled", "pool"): "The teacher instead of true labels",
    ("distilled", "plain"): "Distillation and augmentation together",
    ("pool", "alone"): "More labelled images",
    ("alone", "plain"): "Augmentation",
}
SPLITS: dict[Split, str] = {"test": "test", "heldout": "held-out generators"}


def claims(run: RunData, chosen: Entry | None) -> str:
    """What distillation gave the chosen student, else every one: a sentence for the test split, and for unseen generators."""
    every = run.accuracy.distillation if run.accuracy else {}
    found = {name: one for name, one in every.items() if chosen is None or name == chosen.name}
    if not found:
        return "not evaluated, so nothing is claimed."
    return " ".join(f"{name}: {' '.join(claim(one))}" for name, one in found.items())


def claim(found: Distillation) -> Iterator[str]:
    """The sentences on one student's AUC or accuracy; only the first of them where there are too few seeds for any."""
    yield sentence(found)
    unseen, test = found.difference("heldout"), found.difference("test")
    if unseen and test and test.verdict != "too few seeds":
        yield f"On generators it never saw: {brief(unseen, measure=NAMES[found.measure])}."


def sentence(
    found: Distillation,
    *,
    split: Split = "test",
    statistic: Statistic | None = None,
    pair: tuple[Arm, Arm] = ("distilled", "alone"),
) -> str:
    """What the first arm gave over the second, both intervals and their verdict, in plain words."""
    ours, theirs = pair
    difference, what = found.difference(split, statistic, arm=ours, against=theirs), GAINS[pair]
    if difference is None:
        return f"{what} was not evaluated on {SPLITS[split]}."
    if refused := _refusal(difference):
        return f"{what}: {refused}."
    over_both, over_seeds = (interval(ci) for ci in (difference.ci, difference.seeds_ci))
    gave = "did harm:" if difference.verdict == "harm shown" else "gave"
    return (
        f"{what} {gave} {signed(difference.mean)} {NAMES[statistic or found.measure]} {over_both} over scenes and seeds, "
        f"{over_seeds} over seeds alone; {_reading(difference)}. {could_have_shown(difference)}"
    )


def brief(difference: ArmDifference, *, measure: str) -> str:
    """The difference in a measure, its interval over scenes and seeds, and its verdict."""
    change = f"{measure} {with_interval(difference.mean, difference.ci, sign=True)}"
    return f"{change}, {verdict_words(difference)}"


def verdict_words(difference: ArmDifference) -> str:
    """The verdict, with the counts behind one that is refused."""
    return _refusal(difference) or difference.verdict


def could_have_shown(difference: ArmDifference) -> str:
    """The smallest difference that the run was able to show, or nothing where that is not known."""
    if difference.detectable is None:
        return ""
    seeds = difference.seeds_detectable
    also = "" if seeds is None else f" ({fixed(seeds)} over seeds alone)"
    return f"This run could have shown {fixed(difference.detectable)}{also}."


def _refusal(difference: ArmDifference) -> str:
    seeds, groups = difference.seeds, difference.groups
    if difference.verdict == "too few seeds":
        return f"no claim, {seeds} seed{'s' * (seeds != 1)} where at least {MIN_SEEDS} are needed"
    if difference.verdict == "too few groups":
        return (
            f"no verdict, {count(groups)} scene{'s' * (groups != 1)} where at least {MIN_GROUPS} are needed"
        )
    return ""


def _reading(difference: ArmDifference) -> str:
    first, second = (_leaves_out_zero(ci) for ci in (difference.ci, difference.seeds_ci))
    if first and second:
        return "both leave out zero"
    if first:
        return "only the first leaves out zero"
    return f"{'the first holds' if second else 'both hold'} zero, so nothing is shown"


def _leaves_out_zero(ci: tuple[float, float] | None) -> bool:
    return ci is not None and not ci[0] <= 0 <= ci[1]


def interval(ci: tuple[float, float] | None) -> str:
    """``[+0.013, +0.022]``, or a dash."""
    return f"[{signed(ci[0])}, {signed(ci[1])}]" if ci else NONE
