"""Attribution as tables for a terminal, and as one page. Torch-free."""

from bench.attribution.record import UNKNOWN, Attributed, AttributionRecord
from distill.page.blocks import Page, Section, Table, Text, columns
from distill.page.formats import fixed, of_data, with_interval


def page_of(record: AttributionRecord) -> Page:
    """Scores in a table, and a matrix for each way to tell."""
    about = of_data(record.recipe, simulated=record.simulated)
    return Page(
        title=f"edgeproof attribute: {about}",
        eyebrow=f"Which generator made it · {about}",
        headline=headline(record),
        opening=[Text(told(record))],
        sections=[
            Section("Ways to tell", [table(record)]),
            Section("Whose images are called what", [block for found in record.models for block in matrices(record, found)]),
        ],
    )  # fmt: skip


def headline(record: AttributionRecord) -> str:
    """The best network, in a sentence."""
    best = max(record.models, key=lambda found: found.accuracy)
    return f"{best.model} names the right one of {len(record.classes)} in {best.accuracy:.1%} of the images"


def told(record: AttributionRecord) -> str:
    """What was asked."""
    return (
        f"{record.images} test images of {record.groups} scenes, of {', '.join(record.classes)}: naming the commonest always is "
        f"right in {record.chance:.1%}. {record.unlearned} images are of generators that nobody learned: "
        f"{', '.join(record.rows[len(record.classes) :]) or 'none'}. An image is unknown where its likeliest class scores less "
        f"than {1 - record.keeps:.0%} of the validation images do."
    )


def table(record: AttributionRecord) -> Table:
    """A row for each way to tell."""
    return Table(
        title="Which generator made it",
        columns=columns("by", "right", "right and not unknown", "unlearned called unknown", "AUC of unknown"),
        rows=tuple(_row(found) for found in record.models),
        note="Brackets: 95 % intervals over scenes. AUC of unknown: how well the likeliest class's score tells learned from "
        "unlearned generators.",
    )


def _row(found: Attributed) -> tuple[str, ...]:
    return (
        found.model,
        with_interval(found.accuracy, found.accuracy_ci),
        with_interval(found.right, found.right_ci),
        with_interval(found.refused, found.refused_ci),
        with_interval(found.unknown_auc, found.unknown_auc_ci),
    )


def matrices(record: AttributionRecord, found: Attributed) -> tuple[Table, ...]:
    """Shares of each row's images that are called each class, or unknown."""
    called = (*record.classes, UNKNOWN)
    rows = tuple(
        (name, *(fixed(count / max(1, sum(counts)), 2) for count in counts), str(sum(counts)))
        for name, counts in zip(record.rows, found.matrix, strict=True)
    )
    return (
        Table(
            title=f"{found.model}: what an image is (rows), and is called (columns)",
            columns=columns("really", *called, "images"),
            rows=rows,
        ),
    )
