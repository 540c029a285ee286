"""What the report says of accuracy: words, columns and explanations for two classes and for K. The only place that differs."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.records.distillation import Epoch, Split, Statistic
from distill.evaluation.metrics import Metrics
from distill.page.formats import NONE, fixed, with_interval

Cell = tuple[str, Callable[[Metrics], str]]
ArmColumn = tuple[str, Split, Statistic, Epoch]


@dataclass(frozen=True)
class Measures:
    """How a run's models are told apart.

    Attributes:
        statistic: the measure that claims are about.
        name: what people call it; ``title`` is the same at the start of a line.
        meaning: how to read its value, from the metrics of a split.
        terms: explanations.
        headline: titles and cells of a whole description, ``brief`` those of the one table, ``terminal`` those on a terminal.
        verdicts: of a description of verdicts; ``rates`` of the table of rates at a fixed false-positive rate.
        verdicts_title, verdicts_note: of the table of verdicts.
        arms: columns of the tables of arms.
        seeds: of the table of all seeds.
        said, so: axes of the picture of calibration.
        flips: explains verdicts that flipped.
        detects: whether it is about real and generated images, at a threshold.
    """

    statistic: Statistic
    name: str
    title: str
    meaning: Callable[[Metrics], str]
    terms: tuple[tuple[str, str], ...]
    headline: tuple[Cell, ...]
    brief: tuple[Cell, ...]
    terminal: tuple[Cell, ...]
    verdicts: tuple[Cell, ...]
    rates: tuple[Cell, ...]
    verdicts_title: str
    verdicts_note: str
    arms: tuple[ArmColumn, ...]
    seeds: tuple[tuple[str, Split, Statistic], ...]
    said: str
    so: str
    flips: str
    detects: bool


def cells(found: Metrics | None, wanted: tuple[Cell, ...]) -> tuple[str, ...]:
    """The cells of one model; dashes where it was not evaluated."""
    return tuple(cell(found) if found else NONE for _, cell in wanted)


def titles(wanted: tuple[Cell, ...]) -> tuple[str, ...]:
    """The columns' titles."""
    return tuple(title for title, _ in wanted)


NAMES: dict[Statistic, str] = {
    "auc": "AUC",
    "tpr_at_5fpr": "TPR at 5\u00a0% FPR",
    "tpr_at_1fpr": "TPR at 1\u00a0% FPR",
    "accuracy": "accuracy",
}
_TPR1: Cell = (
    f"{NAMES['tpr_at_1fpr']} [95\u00a0% CI]", lambda found: with_interval(found.tpr_at_1fpr, found.tpr_at_1fpr_ci)
)  # fmt: skip
_TPR5: Cell = (
    f"{NAMES['tpr_at_5fpr']} [95\u00a0% CI]", lambda found: with_interval(found.tpr_at_5fpr, found.tpr_at_5fpr_ci)
)  # fmt: skip
_ECE: Cell = ("ECE", lambda found: fixed(found.ece))
_BALANCED: Cell = ("Balanced accuracy", lambda found: fixed(found.balanced_accuracy))
_MACRO_F1: Cell = ("Macro F1", lambda found: fixed(found.macro_f1))
_LOG_LOSS: Cell = ("Log loss", lambda found: fixed(found.nll))

BINARY = Measures(
    statistic="auc",
    name="AUC",
    title="AUC",
    meaning=lambda _: "where 1 is perfect and 0.5 is guessing",
    terms=(
        ("AUC", "chance that a generated image scores higher than a real one; 1 is perfect, 0.5 is guessing"),
        ("TPR at 5 % FPR", "share of generated images caught when 5 % of real ones are wrongly flagged"),
        ("F1", "balance of precision and recall for generated images at the frozen threshold"),
    ),
    headline=(
        ("AUC [95\u00a0% CI]", lambda found: with_interval(found.auc, found.auc_ci)),
        _TPR5,
        ("F1", lambda found: fixed(found.f1)),
    ),
    brief=(("AUC [95\u00a0% CI]", lambda found: with_interval(found.auc, found.auc_ci)),),
    terminal=(("AUC", lambda found: fixed(found.auc)),),
    verdicts=(
        _BALANCED, _TPR1, _ECE,
        ("NLL", lambda found: fixed(found.nll)), ("Brier", lambda found: fixed(found.brier)),
    ),
    rates=(_TPR1, _TPR5),
    verdicts_title="Verdicts at the frozen threshold",
    verdicts_note="One threshold per model, frozen on clean validation images before the test split was read.",
    arms=(
        ("AUC test", "test", "auc", "best"),
        ("AUC held-out", "heldout", "auc", "best"),
        (NAMES["tpr_at_5fpr"], "test", "tpr_at_5fpr", "best"),
        (NAMES["tpr_at_1fpr"], "test", "tpr_at_1fpr", "best"),
        ("AUC test, last epoch", "test", "auc", "last"),
        ("AUC held-out, last epoch", "heldout", "auc", "last"),
    ),
    seeds=(
        ("AUC test", "test", "auc"),
        ("AUC held-out", "heldout", "auc"),
        (NAMES["tpr_at_5fpr"], "test", "tpr_at_5fpr"),
        (NAMES["tpr_at_1fpr"], "test", "tpr_at_1fpr"),
    ),
    said="Predicted probability of generated",
    so="Share that is generated",
    flips="images whose verdict changed at the frozen threshold",
    detects=True,
)  # fmt: skip

CLASSES = Measures(
    statistic="accuracy",
    name="accuracy",
    title="Accuracy",
    meaning=lambda found: f"where 1 is perfect and always naming the commonest class gives {fixed(found.guess)}",
    terms=(
        ("Accuracy", "share of the images whose likeliest class is the right one"),
        ("Macro F1", "balance of precision and recall of a class, as the mean over all classes: rare ones count as much"),
        ("Log loss", "mean of −ln of the probability given to the right class; 0 is perfect, small is good"),
    ),
    headline=(
        ("Accuracy [95\u00a0% CI]", lambda found: with_interval(found.accuracy, found.accuracy_ci)),
        _MACRO_F1,
        _LOG_LOSS,
    ),
    brief=(("Accuracy [95\u00a0% CI]", lambda found: with_interval(found.accuracy, found.accuracy_ci)),),
    terminal=(("Accuracy", lambda found: fixed(found.accuracy)), _MACRO_F1),
    verdicts=(("Accuracy", lambda found: fixed(found.accuracy)), _BALANCED, _MACRO_F1, _LOG_LOSS, _ECE),
    rates=(),
    verdicts_title="Verdicts: the likeliest class",
    verdicts_note="On the test split. One temperature per model, fitted on validation images before the test split was read.",
    arms=(("Accuracy test", "test", "accuracy", "best"), ("Accuracy test, last epoch", "test", "accuracy", "last")),
    seeds=(("Accuracy test", "test", "accuracy"),),
    said="Probability of the likeliest class",
    so="Share that is right",
    flips="images that were given another class",
    detects=False,
)  # fmt: skip

BY_STATISTIC = {found.statistic: found for found in (BINARY, CLASSES)}
