"""Figures from the documents that the project grew from, apart from this run's on purpose, and the contradiction in them."""

from collections.abc import Iterator

from distill.page.blocks import Block, Points, Table, columns
from distill.page.formats import NONE, count, fixed

_MODEL = "EfficientNet-B3 + FPN + CBAM"
_TOLD = {"precision": 0.8315, "recall": 0.9527, "F1": 0.8921}
_CONFUSION = ((5428, 797), (63, 1212))  # true classes in rows: [[tn, fp], [fn, tp]]
_NOTE = (
    "As those reports give them, on other data and other hardware: not comparable with anything above, nor with each other. "
    "The 0.458 s are what “vs 0.458 s” divides by."
)
# model, data, validation accuracy, precision, recall, F1, ROC-AUC, latency
_ROWS: tuple[tuple[str, ...], ...] = (
    ("CNN, 4 blocks", "1,000 images", "0.62", NONE, NONE, NONE, NONE, NONE),
    ("CNN, 6 blocks", "5,000 images", "0.50: one class for all", NONE, NONE, NONE, NONE, NONE),
    ("CNN, 4 blocks", "200,000 images", "0.64", NONE, NONE, NONE, NONE, NONE),
    ("ResNet18 features, logistic regression", "2,000 images", "0.70", NONE, NONE, NONE, "0.77", NONE),
    ("ResNet18, all layers", "200,000 images", "0.66", NONE, NONE, NONE, NONE, NONE),
    ("ResNet18, frozen, head trained", "200,000 images", "0.72", NONE, NONE, NONE, NONE, "0.458 s"),
    ("MobileNetV2Simple", "50,000 faces, 17 % fake", NONE, "0.2485", "0.6353", "0.3572", NONE, NONE),
    (
        f"{_MODEL}: its table", "50,000 faces, 17 % fake", NONE,
        *(f"{_TOLD[name]:.4f}" for name in ("precision", "recall", "F1")), NONE, NONE,
    ),
)  # fmt: skip


def published() -> Iterator[Block]:
    """The table, with a row for what the contradictory report's own matrix gives, and the contradiction in words."""
    found = rates(_CONFUSION)
    own = (
        f"{_MODEL}: its confusion matrix", "the same", NONE, *(f"{found[name]:.4f}" for name in found), NONE, NONE,
    )  # fmt: skip
    heads = columns(
        "Model", "Data", "Validation accuracy", "Precision", "Recall", "F1", "ROC-AUC", "Latency", left=3
    )  # fmt: skip
    last = len(_ROWS)
    yield Table("Figures from earlier reports", heads, (*_ROWS, own), _NOTE, bad=frozenset({last - 1, last}))
    (tn, fp), (fn, tp) = _CONFUSION
    yield Points(
        [
            f"The report on {_MODEL} contradicts itself. Its table says precision {_TOLD['precision']} and F1 {_TOLD['F1']} "
            f"(“projected for 10 epochs”); its confusion matrix, [[{count(tn)}, {count(fp)}], [{count(fn)}, {count(tp)}]], "
            f"gives precision {fixed(found['precision'])} and F1 {fixed(found['F1'])}. "
            "Only the recall nearly agrees. Quote both or neither."
        ],
        bad=True,
    )


def rates(confusion: tuple[tuple[int, int], tuple[int, int]]) -> dict[str, float]:
    """Precision, recall and F1 of the positive class from ``[[tn, fp], [fn, tp]]``."""
    (_, fp), (fn, tp) = confusion
    return {"precision": tp / (tp + fp), "recall": tp / (tp + fn), "F1": 2 * tp / (2 * tp + fp + fn)}
