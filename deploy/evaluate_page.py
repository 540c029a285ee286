"""An evaluation as one self-contained page. Torch-free."""

from collections.abc import Iterator
from typing import Any

from deploy.evaluate_record import EvaluationRecord, Measure
from deploy.evaluate_tables import (
    confusion_table,
    degradations_table,
    generators_table,
    headline,
    measures_table,
    title_of,
)
from distill.page.blocks import Block, Gallery, Page, Picture, Points, Section, Terms, Text
from distill.page.charts import FAINT, HUES, axes, plain, png
from distill.page.formats import count

_LISTED = 20


def page_of(record: EvaluationRecord) -> Page:
    """Headline, cautions, every table, and a picture of what varies.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return Page(
        title=f"{record.artifact} on {record.data}",
        eyebrow=f"Evaluation · {record.artifact} · {record.precision} · {record.runtime}",
        headline=headline(record),
        opening=[*_opening(record)],
        sections=[*_sections(record)],
    )


def _opening(record: EvaluationRecord) -> Iterator[Block]:
    kinds = ", ".join(f"{count(number)} {label}" for label, number in record.overall.classes.items())
    yield Text(f"{record.data}: {kinds}, in {count(record.overall.groups)} groups (layout {record.layout}).")
    if record.answered is not None and record.answered.share is not None:
        found = record.answered
        right = "" if found.accuracy is None else f", {found.accuracy:.1%} of them right"
        yield Text(
            f"Inside its band it answers for {found.share:.1%} of the images{right}; of the others it is not sure."
        )
    if record.cautions:
        yield Points(record.cautions, bad=True)


def _sections(record: EvaluationRecord) -> Iterator[Section]:
    yield Section("Measures", [measures_table(record), confusion_table(record)])
    if record.generators:
        yield Section("Generators", [Gallery([_generators_picture(record)]), generators_table(record)])
    if record.degraded:
        yield Section(
            "Degraded images", [Gallery([_degradations_picture(record)]), degradations_table(record)]
        )
    if record.skipped:
        more = [f"... and {len(record.skipped) - _LISTED} more"] if len(record.skipped) > _LISTED else []
        yield Section("Left out", [Points([*record.skipped[:_LISTED], *more])])
    yield Section("How to read this", [Terms(_TERMS)])


_TERMS = (
    ("AUC", "how often a generated image gets a higher score than a real one; 0.5 is guessing, 1 is perfect"),
    (
        "interval",
        "where 95 of 100 such data sets would put the value, by drawing whole groups of images again",
    ),
    ("TPR at 5 % FPR", "generated images that are found if one real image in twenty may be called generated"),
    ("flip", "an image whose verdict is another one than before it was degraded"),
)


def _generators_picture(record: EvaluationRecord) -> Picture:
    rows = {name: item.measures["auc"] for name, item in record.generators.items()}
    return _dots(rows, x="AUC against all real images, with 95 % interval", name="generators")


def _degradations_picture(record: EvaluationRecord) -> Picture:
    rows = {title_of(item): item.judged.measures[record.score] for item in record.degraded}
    what = "AUC" if record.score == "auc" else "Accuracy"
    return _dots(rows, x=f"{what} with 95 % interval", name="degradations")


def _dots(rows: dict[str, Measure], *, x: str, name: str) -> Picture:
    """A dot and its interval a row."""

    def draw(figure: Any) -> None:
        ax = axes(figure, x=x, y="")
        ax.axvline(0.5, color=FAINT, linewidth=1.0)  # guessing
        for place, measure in enumerate(rows.values()):
            if measure.value is None:
                continue
            if measure.interval:
                ax.plot(
                    measure.interval, [place, place], color=HUES[0], linewidth=1.6, solid_capstyle="round"
                )
            ax.plot([measure.value], [place], marker="o", markersize=6, color=HUES[0], linestyle="")
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_yticks(range(len(rows)), [plain(row) for row in rows])
        ax.grid(False, axis="y")

    known = {row: measure.value for row, measure in rows.items() if measure.value is not None}
    worst = min(known, key=lambda row: known[row]) if known else ""
    alt = f"lowest for {worst}, {known[worst]:.3f}" if known else "no value is known"
    return Picture(png=png(draw, width=7.0, height=1.2 + 0.3 * len(rows)), alt=f"{x}: {alt}", name=name)
