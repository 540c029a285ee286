"""An evaluation as tables, the same on the console and on the page. Torch-free."""

from collections.abc import Iterator

from deploy.evaluate_record import DegradedJudgement, EvaluationRecord, Judgement, Measure
from distill.page.blocks import Table, columns
from distill.page.formats import count, percent, with_interval

TITLES = {
    "auc": "AUC (area under the ROC curve)",
    "ap": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "tpr": "TPR, generated images that are found",
    "tnr": "TNR, real images that are left alone",
    "f1": "F1",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "tpr_at_5fpr": "TPR at 5 % FPR",
    "tpr_at_1fpr": "TPR at 1 % FPR",
    "eer": "equal error rate",
    "brier": "Brier score",
    "nll": "log loss, in nats",
    "ece": "calibration error (ECE)",
}


def measures_table(record: EvaluationRecord) -> Table:
    """Every measure of all images."""
    found = record.overall
    at = f" Verdicts at the frozen threshold {record.threshold:.3f}." if record.threshold is not None else ""
    return Table(
        f"{record.artifact} ({record.precision}, {record.runtime}) on {record.data}",
        columns("measure", "value", "95 % interval"),
        tuple((TITLES[name], *_cells(measure)) for name, measure in found.measures.items()),
        note=f"{count(found.groups)} groups of images behind every interval.{at} The calibration error has no interval.",
        strong=frozenset({0}),
    )


def confusion_table(record: EvaluationRecord) -> Table:
    """What was said of the images of each class."""
    return Table(
        "Verdicts by class",
        columns("true class", "images", *(f"called {label}" for label in record.labels)),
        tuple(
            (label, count(sum(row)), *(count(number) for number in row))
            for label, row in zip(record.labels, record.overall.confusion, strict=True)
        ),
    )


def generators_table(record: EvaluationRecord) -> Table:
    """Each generator beside all real images, the hardest first."""
    found = sorted(record.generators.items(), key=lambda item: item[1].measures["auc"].value or 0.0)
    return Table(
        "By generator, the hardest first",
        columns("generator", "images", "groups", "AUC against all real images", "TPR", "TPR at 5 % FPR"),
        tuple(
            (name, count(_generated(record, item)), count(item.groups), *_told(item, "auc", "tpr", "tpr_at_5fpr"))
            for name, item in found
        ),
    )  # fmt: skip


def degradations_table(record: EvaluationRecord) -> Table:
    """The sweep."""
    binary = record.task == "binary"
    names = ("auc", "balanced_accuracy", "tpr", "tnr") if binary else ("accuracy", "balanced_accuracy")
    titles = ("AUC", "balanced accuracy", "TPR", "TNR") if binary else ("accuracy", "balanced accuracy")
    judged = record.degraded[0].judged
    return Table(
        "By degradation",
        columns("images", *titles[:1], "change", *titles[1:], "verdicts that flip"),
        tuple(_degraded_row(item, names) for item in record.degraded),
        note=f"{count(judged.n)} images in {count(judged.groups)} groups; changes are paired, on the same images.",
        strong=frozenset({0}),
    )


def tables(record: EvaluationRecord) -> Iterator[Table]:
    """All that there is something to say in."""
    yield measures_table(record)
    yield confusion_table(record)
    if record.generators:
        yield generators_table(record)
    if record.degraded:
        yield degradations_table(record)


def title_of(item: DegradedJudgement) -> str:
    """What people call a degradation."""
    return "as they are" if item.name == item.strength else f"{item.family} {item.strength}"


def headline(record: EvaluationRecord) -> str:
    """The measure that models are compared by, in a line."""
    found = record.overall.measures[record.score]
    name = "AUC" if record.score == "auc" else "Accuracy"
    return f"{name} {with_interval(found.value, found.interval)}"


def _degraded_row(item: DegradedJudgement, names: tuple[str, ...]) -> tuple[str, ...]:
    score, *others = _told(item.judged, *names)
    change = with_interval(item.change.value, item.change.interval, sign=True)
    return (title_of(item), score, change, *others, percent(item.flips))


def _generated(record: EvaluationRecord, item: Judgement) -> int:
    return item.classes[record.labels[1]]


def _told(item: Judgement, *names: str) -> tuple[str, ...]:
    return tuple(with_interval(item.measures[name].value, item.measures[name].interval) for name in names)


def _cells(measure: Measure) -> tuple[str, str]:
    value = with_interval(measure.value, None)
    return value, with_interval(measure.value, measure.interval).removeprefix(value).strip(" []")
