"""Pictures of one student beside its teacher, control and INT8: ROC, confusion, calibration, generators."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from bench.report.data import Contestant, RunData, interval, is_control, mapping, number, sequence
from bench.report.figures import MARKERS, slug
from bench.report.plots import MAP_HIGH, MAP_LOW, colour_of, look, picture
from distill.page.blocks import Picture
from distill.page.charts import FAINT, GRID, INK, PAPER, axes, legend, plain
from distill.page.formats import fixed, percent


def team(run: RunData, student: str, int8: Contestant | None) -> list[Contestant]:
    """The models one student's pictures compare: teacher, distilled, control, INT8."""
    kinds = ("teacher", "student", "control")
    found = [run.find(student=student, kind=kind) for kind in kinds]
    return [item for item in (*found, int8) if item is not None]


def roc(run: RunData, student: str, int8: Contestant | None) -> Picture | None:
    """ROC on test of teacher, student, control and INT8."""
    items = [c for c in team(run, student, int8) if sequence(c.accuracy, "roc", "fpr")]
    if not items:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="False positive rate (real called generated)", y="True positive rate")
        ax.plot([0, 1], [0, 1], color=GRID, linewidth=1.2)
        for item in items:
            label = f"{plain(item.short)}  {fixed(_auc(item))}"
            style = look(run, item)
            ax.plot(
                sequence(item.accuracy, "roc", "fpr"),
                sequence(item.accuracy, "roc", "tpr"),
                label=label,
                **style,
            )
        ax.set_aspect("equal")
        legend(ax, loc="lower right", title="AUC")

    finding = f"{student}: {_against_fp32(run, student, int8) or 'ROC on the test split'}"
    return picture(f"roc_{slug(student)}", finding=finding, draw=draw, height=5.0)


def _auc(item: Contestant | None) -> float | None:
    return number(item.accuracy, "splits", "test", "auc") if item else None


def _against_fp32(run: RunData, student: str, int8: Contestant | None) -> str:
    ours, parent = _auc(int8), _auc(run.find(student=student, kind="student"))
    return f"AUC {ours:.3f} in INT8, {parent:.3f} in FP32" if ours is not None and parent is not None else ""


def confusion(run: RunData, student: str, int8: Contestant | None) -> Picture | None:
    """Confusion matrices at the frozen threshold, shaded by share of the true class."""
    items = [(c, cells) for c in team(run, student, int8) if (cells := _cells(c))]
    if not items:
        return None

    def draw(figure: Any) -> None:
        grid = list(figure.subplots(2, 2, squeeze=False).flat)
        for ax in grid[len(items) :]:
            ax.set_visible(False)
        for ax, (item, cells) in zip(grid, items, strict=False):
            _matrix(ax, cells, item.short)

    item, cells = items[-1]
    missed, flagged = (percent(line[k] / max(sum(line), 1), 0) for line, k in ((cells[1], 0), (cells[0], 1)))
    name = f"{student} {item.precision.upper()}"
    finding = f"{name} misses {missed} of generated, flags {flagged} of real"
    return picture(f"confusion_{slug(student)}", finding=finding, draw=draw, height=5.4)


def _cells(item: Contestant) -> list[list[float]]:
    lines = sequence(mapping(item.accuracy, "splits", "test"), "confusion")
    cells = [[number({"x": n}, "x") for n in line] if isinstance(line, list) else [] for line in lines]
    good = [[n for n in line if n is not None] for line in cells]
    return good if [len(line) for line in good] == [2, 2] else []


def _matrix(ax: Any, cells: list[list[float]], title: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shares = [[n / max(sum(line), 1) for n in line] for line in cells]
    ax.imshow(
        shares,
        vmin=0,
        vmax=1,
        cmap=LinearSegmentedColormap.from_list("shares", [MAP_LOW, MAP_HIGH]),
    )
    for row in range(2):
        for column in range(2):
            text = f"{cells[row][column]:,.0f}\n{percent(shares[row][column])}"
            ax.text(column, row, text, ha="center", va="center", fontsize=9.5, color=INK)
    ax.set_title(plain(title), fontsize=9, color=INK)
    ax.set_xticks([0, 1], ["said real", "said generated"])
    ax.set_yticks([0, 1], ["real", "generated"], rotation=90, va="center")
    ax.tick_params(colors=FAINT, labelsize=8.5, length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def reliability(run: RunData, student: str, int8: Contestant | None) -> Picture | None:
    """Calibration: what was said against what was so, in 15 bins."""
    items = [(c, bins) for c in team(run, student, int8) if (bins := _bins(c))]
    if not items:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="Predicted probability of generated", y="Share that is generated")
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0)
        for item, bins in items:
            x, y, _ = zip(*bins, strict=True)
            ece = number(item.accuracy, "splits", "test", "ece")
            label = f"{plain(item.short)}  {fixed(ece)}"
            ax.plot(x, y, marker=MARKERS.get(item.runtime), markersize=4, label=label, **look(run, item))
        ax.set_aspect("equal")
        legend(ax, loc="upper left", title="ECE")

    item = items[-1][0]
    ece = number(item.accuracy, "splits", "test", "ece")
    known = (
        ""
        if ece is None
        else f"{item.precision.upper()} probabilities are off by {100 * ece:.1f} points on average"
    )
    finding = f"{student}: {known or 'calibration on test'}"
    return picture(f"calibration_{slug(student)}", finding=finding, draw=draw, height=5.0)


def _bins(item: Contestant) -> list[tuple[float, float, float]]:
    found = mapping(item.accuracy, "reliability")
    lists = (sequence(found, key) for key in ("confidence", "accuracy", "count"))
    numbers = (tuple(number({"x": v}, "x") for v in triple) for triple in zip(*lists, strict=False))
    return [(x, y, n) for x, y, n in numbers if x is not None and y is not None and n]


def generators(run: RunData, student: str, int8: Contestant | None) -> Picture | None:
    """AUC per generator: trained families, held-out families, and the identity control at 0.5."""
    items = [c for c in team(run, student, int8) if c.kind != "control" and mapping(c.accuracy, "generators")]
    if not items:
        return None
    groups = list(_generator_groups(run, items))
    rows = [name for _, names in groups for name in names]

    def draw(figure: Any) -> None:
        ax = axes(figure, x="AUC on test with 95 % interval", y="")
        ax.axvline(0.5, color=FAINT, linewidth=1.2)
        for shift, item in enumerate(items):
            _generator_dots(ax, run, item, rows, (shift - (len(items) - 1) / 2) * 0.24)
        _generator_bands(ax, groups)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_yticks(range(len(rows)), [plain(name) for name in rows])
        ax.grid(False, axis="y")
        figure.legend(
            *ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False,
            fontsize=8.5, labelcolor=INK,
        )  # fmt: skip

    finding = f"{student}: {_generator_finding(items[-1], groups)}"
    return picture(f"generators_{slug(student)}", finding=finding, draw=draw, height=1.9 + 0.42 * len(rows))


def _generator_groups(run: RunData, items: list[Contestant]) -> Iterator[tuple[str, list[str]]]:
    """Families by use. A generator that only the control split holds is the identity control."""
    known = {name: mapping(e) for item in items for name, e in mapping(item.accuracy, "generators").items()}
    splits = {n: sequence(e, "split") for n, e in mapping(run.summary, "generators").items()}
    control = [n for n in known if is_control(n, known[n]) or splits.get(n) == ["control"]]
    held = [n for n in known if known[n].get("heldout") and n not in control]
    trained = [n for n in known if n not in control and n not in held]
    for title, names in (("trained on", trained), ("held out", held), ("control", control)):
        if names:
            yield title, names


def _generator_dots(ax: Any, run: RunData, item: Contestant, rows: list[str], shift: float) -> None:
    colour = colour_of(run, item.student)
    fill = colour if item.precision == "int8" or item.kind == "teacher" else PAPER
    label = {"label": plain(item.short)}
    for place, name in enumerate(rows):
        entry = mapping(item.accuracy, "generators", name)
        auc, pair = number(entry, "auc"), interval(entry, "auc_ci")
        if auc is None:
            continue
        if pair:
            ax.plot(pair, [place + shift] * 2, color=colour, linewidth=1.4, solid_capstyle="round")
        marker = MARKERS.get(item.runtime, "o")
        ax.plot(
            [auc], [place + shift], marker=marker, markersize=6, linestyle="",
            markerfacecolor=fill, markeredgecolor=colour, **label,
        )  # fmt: skip
        label = {}


def _generator_bands(ax: Any, groups: list[tuple[str, list[str]]]) -> None:
    start = -0.5
    for title, names in groups:
        end = start + len(names)
        if title != "trained on":
            ax.axhline(start, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
        style = {"fontsize": 8.5, "color": FAINT, "fontstyle": "italic", "ha": "left", "va": "center"}
        ax.text(1.01, (start + end) / 2, title, transform=ax.get_yaxis_transform(), rotation=270, **style)
        start = end


def _generator_finding(item: Contestant, groups: list[tuple[str, list[str]]]) -> str:
    means = {}
    for title, names in groups:
        values = [number(item.accuracy, "generators", name, "auc") for name in names]
        found = [v for v in values if v is not None]
        if found:
            means[title] = fmean(found)
    if {"trained on", "held out"} <= set(means):
        known, new = means["trained on"], means["held out"]
        return f"mean AUC {known:.2f} on trained families, {new:.2f} on held-out ones"
    return "AUC per generator"
