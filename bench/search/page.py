"""A search as one self-contained page, and as the table that a terminal shows. Torch-free."""

from typing import Any

from bench.search.halving import front
from bench.search.record import Found, SearchRecord
from distill.page.blocks import Block, Gallery, Page, Picture, Section, Table, Text, columns
from distill.page.charts import FAINT, HUES, INK, axes, plain, png
from distill.page.formats import NONE, count, of_data

_MARKS = {"rep_cnn": "D", "small_cnn": "s", "mobilenet_v2": "o"}


def page_of(record: SearchRecord) -> Page:
    """Headline, picture, table.

    Raises:
        ImportError: matplotlib is not installed.
    """
    about = of_data(record.recipe, simulated=record.simulated)
    return Page(
        title=f"edgeproof search: {about}",
        eyebrow=f"Search · {about} · {record.machine.cpu_model}",
        headline=headline(record),
        opening=[Text(told(record))],
        sections=[Section("Students", [*_picture(record), table(record)])],
    )


def headline(record: SearchRecord) -> str:
    """The choice in a sentence."""
    if record.chosen is None:
        return "No student was chosen yet"
    best = record.named(record.chosen)
    return f"{best.name}: validation {record.measure} {best.score:.3f} after {best.epochs} epochs at {best.p50_ms:.3g} ms"


def told(record: SearchRecord) -> str:
    """What was done, in two sentences."""
    under = sum(
        found.state in ("under the budget", "dropped", "finalist", "chosen") for found in record.found
    )
    return (
        f"Of {len(record.found)} students {under} take at most {record.budget_ms:g} ms (p50, INT8 by {record.quantizer}, "
        f"{record.input_size}×{record.input_size}, {record.threads} threads), measured untrained. Those were distilled with one "
        f"seed for {' and then '.join(str(epochs) for epochs, _ in record.plan)} epochs; scores are those of validation "
        "images, and choosing the best of several flatters it: the run of the chosen one tells what it is worth on test images."
    )


def table(record: SearchRecord) -> Table:
    """Every student, those trained longest first."""
    order = sorted(record.found, key=lambda f: (-f.epochs, -(f.score or 0.0), f.p50_ms or 0.0))
    titles = (
        "Student",
        "State",
        f"Validation {record.measure}",
        "Epochs",
        "p50 ms",
        "min ms",
        "MMAC",
        "Parameters",
    )
    strong = frozenset(i for i, found in enumerate(order) if found.name in record.front)
    note = "In bold: the front, where no other is both as fast and better. A tilde marks a noisy time."
    return Table(
        "Students that were looked at", columns(*titles, left=2), tuple(map(_cells, order)), note, strong
    )


def _cells(found: Found) -> tuple[str, ...]:
    tilde = "~" if found.noisy else ""
    return (
        found.name,
        found.state if found.reason is None else f"{found.state}: {found.reason}",
        NONE if found.score is None else f"{found.score:.3f}",
        str(found.epochs) if found.rungs else NONE,
        NONE if found.p50_ms is None else f"{tilde}{found.p50_ms:.3g}",
        NONE if found.min_ms is None else f"{found.min_ms:.3g}",
        NONE if found.macs is None else count(found.macs / 1e6),
        count(found.params),
    )


def _picture(record: SearchRecord) -> list[Block]:
    trained = [found for found in record.found if found.rungs and found.p50_ms is not None]
    if not trained:
        return []
    title = headline(record)
    drawn = png(lambda figure: _draw(figure, record, trained), width=7.4, height=4.6, title=title)
    return [Gallery((Picture(png=drawn, alt=title, name="search"),))]


def _draw(figure: Any, record: SearchRecord, trained: list[Found]) -> None:
    ax = axes(figure, x="Latency p50 of INT8, ms", y=f"Validation {record.measure}")
    longest = max(found.epochs for found in trained)
    points = {f.name: (f.score or 0.0, f.p50_ms or 0.0) for f in trained if f.epochs == longest}
    best = [points[name] for name in front(points)]
    ax.step([x for _, x in best], [y for y, _ in best], where="post", color=FAINT, linewidth=1.2, zorder=1)
    ax.axvline(record.budget_ms, color=FAINT, linewidth=1.0, linestyle=(0, (4, 3)))
    ax.annotate("budget", (record.budget_ms, 0.98), xycoords=("data", "axes fraction"), xytext=(-4, 0),
                textcoords="offset points", ha="right", va="top", fontsize=8.5, color=FAINT)  # fmt: skip
    architectures = sorted({found.architecture for found in trained})
    for found in trained:
        colour = HUES[architectures.index(found.architecture) % len(HUES)]
        face = colour if found.epochs == longest else "none"
        ax.scatter(found.p50_ms, found.score, s=46, marker=_MARKS.get(found.architecture, "^"), facecolors=face,
                   edgecolors=colour, linewidths=1.4, zorder=3)  # fmt: skip
        if found.name in record.front:
            ax.annotate(plain(found.name), (found.p50_ms, found.score), xytext=(6, 6), textcoords="offset points",
                        fontsize=8.5, color=INK)  # fmt: skip
    for architecture in architectures:
        colour = HUES[architectures.index(architecture) % len(HUES)]
        ax.scatter([], [], marker=_MARKS.get(architecture, "^"), color=colour, label=architecture)
    ax.scatter([], [], marker="o", facecolors="none", edgecolors=FAINT, label="trained shorter")
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="lower right")
