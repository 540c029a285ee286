"""The matrix as tables for a terminal, and as one page with a picture. Torch-free."""

from collections.abc import Sequence
from typing import Any

from bench.cross.record import Cell, CrossRecord, RowOf
from distill.page.blocks import Gallery, Page, Picture, Points, Section, Table, Text, columns
from distill.page.charts import FAINT, INK, plain, png
from distill.page.formats import NONE, of_data, with_interval

_CELL = 0.72  # inches


def page_of(record: CrossRecord) -> Page:
    """Headline, a picture and a table for each model.

    Raises:
        ImportError: matplotlib is not installed.
    """
    about = of_data(record.recipe, simulated=record.simulated)
    return Page(
        title=f"edgeproof cross: {about}",
        eyebrow=f"Trained on some generators, tested on all · {about}",
        headline=headline(record),
        opening=[Text(told(record)), Points([said(record, model) for model in _models(record)])],
        sections=[
            Section(model, [Gallery([_picture(record, model)]), table(record, model)])
            for model in _models(record)
        ],
    )


def headline(record: CrossRecord) -> str:
    """The worst that happens to a student."""
    found = [item for item in record.unseen if item.model != "teacher"] or list(record.unseen)
    if not found:
        return "No generator was left out, so nothing is known of unseen ones"
    worst = min(found, key=lambda item: item.worst)
    return (
        f"{worst.model}, trained on {worst.worst_learned}, has AUC {worst.worst:.3f} on {worst.worst_tested}"
    )


def told(record: CrossRecord) -> str:
    """What the rows are."""
    teacher = (
        f" The teacher is finished and learned elsewhere ({record.teacher_knows}), so its rows differ by nothing."
        if record.teacher_knows
        else " The teacher learned from the same generators as the student in each row."
    )
    return (
        f"Every row is a training of {record.student} (seed {record.seed}) whose training and validation images hold no other "
        f"generators than it names; every column is one generator's test images against all real ones. Intervals rest on "
        f"{record.rows[0].groups} groups (scenes).{teacher}"
    )


def said(record: CrossRecord, model: str) -> str:
    """Mean, spread and worst of one model on what it never saw."""
    found = [item for item in record.unseen if item.model == model]
    parts = [
        f"trained on {item.kind} one: mean {item.mean:.3f}, spread {item.spread:.3f}, worst {item.worst:.3f} "
        f"({item.worst_learned} → {item.worst_tested})"
        for item in found
    ]
    return f"{model} on generators that it never saw: {'; '.join(parts) or 'none'}"


def table(record: CrossRecord, model: str) -> Table:
    """AUC with its interval; an asterisk where the generator was learned from."""
    rows = tuple((row.title, *map(_cell, row.cells)) for row in _rows(record, model))
    note = "AUC [95 % interval]; * = the generator was learned from."
    return Table(
        f"{model}: trained on (rows), tested on (columns)",
        columns("Trained on", *record.generators),
        rows,
        note,
    )


def _cell(cell: Cell) -> str:
    return NONE if cell.auc is None else with_interval(cell.auc, cell.auc_ci) + ("*" if cell.seen else "")


def _models(record: CrossRecord) -> list[str]:
    return list(dict.fromkeys(row.model for row in record.rows))


def _rows(record: CrossRecord, model: str) -> list[RowOf]:
    return [row for row in record.rows if row.model == model]


def _picture(record: CrossRecord, model: str) -> Picture:
    rows = _rows(record, model)
    title = said(record, model)
    width, height = 2.2 + 1.3 * _CELL * len(record.generators), 1.5 + _CELL * 0.7 * len(rows)
    drawn = png(
        lambda figure: _draw(figure, rows, record.generators), width=width, height=height, title=model
    )
    return Picture(png=drawn, alt=title, text=title, name=f"cross_{model}")


def _draw(figure: Any, rows: Sequence[RowOf], generators: Sequence[str]) -> None:
    ax = figure.add_subplot()
    values = [[float("nan") if cell.auc is None else cell.auc for cell in row.cells] for row in rows]
    ax.imshow(values, cmap="YlGnBu", vmin=0.5, vmax=1.0, aspect="auto")
    for y, row in enumerate(rows):
        for x, cell in enumerate(row.cells):
            if cell.auc is not None:
                weight = "normal" if cell.seen else "bold"
                ax.text(x, y, f"{cell.auc:.3f}", ha="center", va="center", fontsize=9, weight=weight,
                        color="white" if cell.auc > 0.8 else INK)  # fmt: skip
    ax.set_xticks(range(len(generators)), [plain(name) for name in generators], fontsize=9, color=INK)
    ax.set_yticks(range(len(rows)), [plain(row.title) for row in rows], fontsize=9, color=INK)
    ax.set_xlabel("tested on (bold: never seen in training)", fontsize=9, color=FAINT)
    ax.set_ylabel("trained on", fontsize=9, color=FAINT)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
