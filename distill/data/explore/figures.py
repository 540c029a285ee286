"""The page's charts: PNG from matplotlib figures of their own, nothing global. Matplotlib is imported when needed.

Colours are those of Okabe and Ito (2008), safe for colour-blind readers: real is blue everywhere, and line and fill
tell apart too. Charts are light; the style sheet turns them dark on dark pages.
"""

import io
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.explore.sample import Source
from distill.data.samples import REAL

Values = npt.NDArray[Any]
Classes = Mapping[str, Values]
"""The values of each class; the keys are :data:`REALS` and :data:`FAKES`, one may be missing."""

REALS, FAKES = "real", "generated"
_COLOURS = {REALS: "#0072B2", FAKES: "#D55E00"}
_HUES = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#1b1f24")
_DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.2)))
_PAPER, _INK, _FAINT, _LINES = "#ffffff", "#1b1f24", "#59616b", "#e3e6ea"
_DPI = 160
_ROOM = 66  # characters across a legend


def sizes(widths: Classes, heights: Classes) -> bytes:
    """Widths and heights: discs for real, rings for generated, area by share of the class."""

    def fill(figure: Any) -> None:
        ax = _axes(figure, x="width (pixels)", y="height (pixels)")
        for name, width in widths.items():
            x, y, share = _bubbles(width, heights[name])
            look = {"facecolors": _COLOURS[name], "alpha": 0.55} if name == REALS else {"facecolors": "none"}
            edge = {"edgecolors": "none" if name == REALS else _COLOURS[name], "linewidths": 1.8}
            ax.scatter(x, y, s=30 + 600 * share, label=name, **look, **edge)
        every = np.concatenate([*widths.values(), *heights.values()])
        _octaves(ax, low=float(every.min()), high=float(every.max()))
        _legend_below(figure, ax)

    return _png(fill, height=3.6)


def kinds(shares: Mapping[str, Mapping[str, float]]) -> bytes:
    """Bars of each class's share of kinds (file formats), ``{class: {kind: share}}``."""
    names = list(dict.fromkeys(kind for found in shares.values() for kind in found))

    def fill(figure: Any) -> None:
        ax = _axes(figure, x="share of the class (%)", y="")
        for number, (name, found) in enumerate(shares.items()):
            places = np.arange(len(names)) + (number - (len(shares) - 1) / 2) * 0.38
            percent = [100 * found.get(kind, 0.0) for kind in names]
            bars = ax.barh(places, percent, height=0.34, color=_COLOURS[name], label=name)
            ax.bar_label(
                bars,
                labels=[f"{p:.3g} %" if p else "none" for p in percent],
                padding=4,
                fontsize=9,
                color=_INK,
            )
        ax.set_yticks(np.arange(len(names)), names)
        ax.set_ylim(max(len(names), 2) - 0.4, -0.6)
        ax.set_xlim(0, 122)
        ax.set_xticks(range(0, 101, 25))
        ax.grid(False, axis="y")
        _legend_below(figure, ax)

    return _png(fill, height=max(2.9, 1.7 + 0.55 * len(names)))


def histogram(classes: Classes, *, edges: Values, x: str, log: bool = False) -> bytes:
    """One axis, both classes: filled for real, a line for generated; shares of each class."""

    def fill(figure: Any) -> None:
        ax = _axes(figure, x=x, y="share of the class (%)")
        if log:
            ax.set_xscale("log")
            ax.xaxis.set_ticks(*_round_steps(float(edges[0]), float(edges[-1])))
            ax.xaxis.set_ticks([], minor=True)
        for name, values in classes.items():
            counts = np.histogram(values, bins=edges)[0] / max(len(values), 1)
            _steps(ax, 100 * counts, edges, name=name)
        ax.set_ylim(bottom=0)
        _legend_below(figure, ax)

    return _png(fill, height=3.3)


def channel(shares: Classes) -> bytes:
    """Histogram of one colour channel; ``shares`` are of the 256 values."""

    def fill(figure: Any) -> None:
        ax = _axes(figure, x="value (0 to 1)", y="share of the pixels (%)")
        for name, found in shares.items():
            _steps(ax, 100 * found.reshape(64, 4).sum(axis=1), np.linspace(0, 1, 65), name=name)
        ax.set_xlim(0, 1)
        ax.set_ylim(bottom=0)
        _legend_below(figure, ax)

    return _png(fill, width=3.8, height=2.9)


def curves(
    lines: Mapping[Source, Values], *, x: Values, y: str, band: Values | None, band_label: str
) -> bytes:
    """A line for every source over frequency, and a grey ``band`` from its first row to its second."""

    def fill(figure: Any) -> None:
        ax = _axes(figure, x="frequency (cycles per pixel)", y=y)
        if band is not None:
            ax.fill_between(x, *band, color="#c9d3dc", alpha=0.75, linewidth=0, label=band_label)
        for source, line in lines.items():
            ax.plot(x, line, label=_plain(source.name), **_line(source))
        ax.axvline(0.5, color=_FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.set_xlim(0, 0.72)
        _legend_below(figure, ax)

    labels = [band_label, *(_plain(source.name) for source in lines)]
    return _png(fill, height=3.4 + 0.21 * -(-len(labels) // _columns(labels)))


def _line(source: Source) -> dict[str, Any]:
    if source.label == REAL:
        return {"color": _COLOURS[REALS], "linewidth": 2.6}
    place = source.rank - 1
    return {
        "color": _HUES[place % len(_HUES)],
        "linewidth": 1.5,
        "linestyle": _DASHES[place // len(_HUES) % len(_DASHES)],
    }


def _steps(ax: Any, values: Values, edges: Values, *, name: str) -> None:
    if name == REALS:
        ax.stairs(values, edges, fill=True, color=_COLOURS[name], alpha=0.55, label=name)
    else:
        ax.stairs(values, edges, color=_COLOURS[name], linewidth=1.8, label=name)


def _bubbles(width: Values, height: Values) -> tuple[Values, Values, Values]:
    """Each size once with its share; many sizes are first rounded to quarters of an octave."""
    pairs = np.stack([width, height], axis=1).astype(np.float64)
    if len(np.unique(pairs, axis=0)) > 60:
        pairs = 2 ** (np.rint(4 * np.log2(pairs)) / 4)
    places, counts = np.unique(pairs, axis=0, return_counts=True)
    return places[:, 0], places[:, 1], counts / counts.sum()


def _octaves(ax: Any, *, low: float, high: float) -> None:
    """Both axes logarithmic over the same range, with ticks at powers of two."""
    steps = 2.0 ** np.arange(np.floor(np.log2(low) - 0.3), np.ceil(np.log2(high) + 0.3) + 1)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(steps, [f"{step:g}" for step in steps])
        axis.set_ticks([], minor=True)
    ax.set_xlim(steps[0], steps[-1])
    ax.set_ylim(steps[0], steps[-1])


def _round_steps(low: float, high: float) -> tuple[list[float], list[str]]:
    """1, 2, 5, 10, ... between ``low`` and ``high``, as numbers and as texts; powers of ten alone where those are many."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps = [m * 10.0**k for k in decades for m in ((1, 2, 5) if len(decades) <= 4 else (1,))]
    inside = [step for step in steps if low <= step <= high]
    return inside, [f"{step:,.0f}" if step >= 1 else f"{step:g}" for step in inside]


def _axes(figure: Any, *, x: str, y: str, place: tuple[int, int, int] = (1, 1, 1)) -> Any:
    ax = figure.add_subplot(*place)
    ax.set_xlabel(x, color=_FAINT, fontsize=10)
    ax.set_ylabel(y, color=_FAINT, fontsize=10)
    ax.tick_params(colors=_FAINT, labelsize=9.5, length=3, which="both")
    ax.grid(True, color=_LINES, linewidth=0.8)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_FAINT)
    return ax


def _legend_below(figure: Any, ax: Any) -> None:
    handles, labels = ax.get_legend_handles_labels()
    legend = figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=_columns(labels),
        frameon=False,
        fontsize=9.5,
        labelcolor=_INK,
    )
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):  # of a scatter: as large as its first bubble otherwise
            handle.set_sizes([90])


def _columns(labels: Sequence[str]) -> int:
    """How many columns of such labels a legend has room for; it fills one after the other."""
    for columns in (3, 2):
        rows = -(-len(labels) // columns)
        parts = [labels[start : start + rows] for start in range(0, len(labels), rows)]
        if sum(8 + max(map(len, part)) for part in parts) <= _ROOM:
            return columns
    return 1


def _plain(text: str) -> str:
    """Text that matplotlib draws as it is, with its beginning and end if it is too long for a legend."""
    short = text if len(text) <= 44 else f"{text[:21]}…{text[-22:]}"
    return "".join(c if c.isprintable() else "�" for c in short).replace("$", r"\$")


def _png(fill: Callable[[Any], None], *, height: float, width: float = 5.0) -> bytes:
    """Draw and compress.

    Raises:
        ImportError: matplotlib is not installed.
    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=_PAPER, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A name in a script that the font lacks draws as boxes; the tables still show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        fill(figure)
        buffer = io.BytesIO()
        canvas.print_png(buffer, metadata={"Software": None})
    return _smaller(buffer.getvalue())


def _smaller(png: bytes) -> bytes:
    """The same picture with a palette, a third of the size."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
