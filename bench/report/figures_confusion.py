"""The picture of confusion: true classes in rows, verdicts in columns, for a student beside its teacher, alone and INT8."""

from collections.abc import Sequence
from typing import Any

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.figures_quality import team
from bench.report.style import MAP_HIGH, MAP_LOW, picture, slug
from distill.page.blocks import Picture
from distill.page.charts import FAINT, INK, plain
from distill.page.formats import percent

_MOST_NUMBERS, _MOST_NAMES = 12, 24  # classes up to which counts, and all names, can be read
_LONGEST = 12  # characters of a name

Matrix = Sequence[Sequence[int]]


def confusion(run: RunData, student: str, int8: Entry | None) -> Picture | None:
    """Confusion matrices on test, shaded by share of the true class."""
    items = [(item, item.test.confusion) for item in team(run, student, int8) if item.test]
    if not items or run.accuracy is None:
        return None
    detects, names = run.measures.detects, run.accuracy.labels

    def draw(figure: Any) -> None:
        grid = list(figure.subplots(2, 2, squeeze=False).flat)
        for ax in grid[len(items) :]:
            ax.set_visible(False)
        for place, (ax, (item, cells)) in enumerate(zip(grid, items, strict=False)):
            _matrix(ax, cells, numbers=len(cells) <= _MOST_NUMBERS, share=detects)
            ax.set_title(plain(item.short), fontsize=9, color=INK)
            if detects:
                ax.set_xticks([0, 1], [f"said {name}" for name in names])
                ax.set_yticks([0, 1], list(names), rotation=90, va="center")
            else:
                _class_names(ax, names, first=place % 2 == 0, last=place + 2 >= len(items))

    item, cells = items[-1]
    finding = _missed(cells) if detects else _most_confused(cells, names)
    size = {"height": 5.4} if detects else {"width": 8.4, "height": 8.4}
    return picture(
        f"confusion_{slug(student)}", finding=f"{student} {item.precision} {finding}", draw=draw, **size
    )


def _matrix(ax: Any, cells: Matrix, *, numbers: bool, share: bool) -> None:
    """Shades, and in each cell its count (of two classes also its share of the row)."""
    from matplotlib.colors import LinearSegmentedColormap

    shares = [[n / max(sum(line), 1) for n in line] for line in cells]
    colours = LinearSegmentedColormap.from_list("shares", [MAP_LOW, MAP_HIGH])
    ax.imshow(shares, vmin=0, vmax=1, cmap=colours)
    for row, line in enumerate(cells if numbers else ()):
        for column, count in enumerate(line):
            text = (
                f"{count:,.0f}\n{percent(shares[row][column])}" if share else f"{count:,.0f}" if count else ""
            )
            ax.text(column, row, text, ha="center", va="center", fontsize=9.5 if share else 7.5, color=INK)
    ax.tick_params(colors=FAINT, labelsize=8.5 if share else 7.5, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _class_names(ax: Any, names: Sequence[str], *, first: bool, last: bool) -> None:
    """Names of classes at both axes, as many as can be read; titles at the outer panels."""
    step = -(-len(names) // _MOST_NAMES)
    shown = [plain(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…") for name in names[::step]]
    places = range(0, len(names), step)
    ax.set_xticks(places, shown, rotation=90 if max(map(len, shown)) > 2 else 0)
    ax.set_yticks(places, shown)
    if last:
        ax.set_xlabel("said", color=FAINT, fontsize=8.5)
    if first:
        ax.set_ylabel("true class", color=FAINT, fontsize=8.5)


def _missed(cells: Matrix) -> str:
    (tn, fp), (fn, tp) = cells
    missed, flagged = (percent(part / max(whole, 1), 0) for part, whole in ((fn, fn + tp), (fp, tn + fp)))
    return f"misses {missed} of generated, flags {flagged} of real"


def _most_confused(cells: Matrix, names: Sequence[str]) -> str:
    wrong = [
        (count, row, column)
        for row, line in enumerate(cells)
        for column, count in enumerate(line)
        if row != column and count
    ]
    if not wrong:
        return "takes no class for another"
    count, row, column = max(wrong)
    return f"most often takes {names[row]} for {names[column]}: {count} of {sum(cells[row])}"
