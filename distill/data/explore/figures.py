"""The page's charts: real is blue and filled everywhere, generated is a line."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.explore.sample import Source
from distill.data.samples import REAL
from distill.page.charts import FAINT, HUES, INK, axes, legend_below, legend_columns, plain, png

Values = npt.NDArray[Any]
Classes = Mapping[str, Values]
"""The values of each class; the keys are :data:`REALS` and :data:`FAKES`, one may be missing."""

REALS, FAKES = "real", "generated"
_COLOURS = {REALS: HUES[0], FAKES: HUES[1]}
_SOURCE_HUES = (*HUES[1:], INK)
_DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.2)))
_WIDTH = 5.0  # inches
_NAME = 44  # characters in a legend


def sizes(widths: Classes, heights: Classes) -> bytes:
    """Widths and heights: discs for real, rings for generated, area by share of the class."""

    def fill(figure: Any) -> None:
        ax = axes(figure, x="width (pixels)", y="height (pixels)")
        for name, width in widths.items():
            x, y, share = _bubbles(width, heights[name])
            fill_style = (
                {"facecolors": _COLOURS[name], "alpha": 0.55} if name == REALS else {"facecolors": "none"}
            )
            edge_style = {"edgecolors": "none" if name == REALS else _COLOURS[name], "linewidths": 1.8}
            ax.scatter(x, y, s=30 + 600 * share, label=name, **fill_style, **edge_style)
        every = np.concatenate([*widths.values(), *heights.values()])
        _octaves(ax, low=float(every.min()), high=float(every.max()))
        legend_below(figure, ax)

    return png(fill, width=_WIDTH, height=3.6)


def kinds(shares: Mapping[str, Mapping[str, float]]) -> bytes:
    """Bars of each class's share of kinds (file formats), ``{class: {kind: share}}``."""
    names = list(dict.fromkeys(kind for found in shares.values() for kind in found))

    def fill(figure: Any) -> None:
        ax = axes(figure, x="share of the class (%)", y="")
        for number, (name, found) in enumerate(shares.items()):
            places = np.arange(len(names)) + (number - (len(shares) - 1) / 2) * 0.38
            percent = [100 * found.get(kind, 0.0) for kind in names]
            bars = ax.barh(places, percent, height=0.34, color=_COLOURS[name], label=name)
            ax.bar_label(
                bars,
                labels=[f"{p:.3g} %" if p else "none" for p in percent],
                padding=4,
                fontsize=9,
                color=INK,
            )
        ax.set_yticks(np.arange(len(names)), names)
        ax.set_ylim(max(len(names), 2) - 0.4, -0.6)
        ax.set_xlim(0, 122)
        ax.set_xticks(range(0, 101, 25))
        ax.grid(False, axis="y")
        legend_below(figure, ax)

    return png(fill, width=_WIDTH, height=max(2.9, 1.7 + 0.55 * len(names)))


def histogram(classes: Classes, *, edges: Values, x: str, log: bool = False) -> bytes:
    """One axis, both classes: filled for real, a line for generated; shares of each class."""

    def fill(figure: Any) -> None:
        ax = axes(figure, x=x, y="share of the class (%)")
        if log:
            ax.set_xscale("log")
            ax.xaxis.set_ticks(*_round_steps(float(edges[0]), float(edges[-1])))
            ax.xaxis.set_ticks([], minor=True)
        for name, values in classes.items():
            counts = np.histogram(values, bins=edges)[0] / max(len(values), 1)
            _steps(ax, 100 * counts, edges, name=name)
        ax.set_ylim(bottom=0)
        legend_below(figure, ax)

    return png(fill, width=_WIDTH, height=3.3)


def channel(shares: Classes) -> bytes:
    """Histogram of one colour channel; ``shares`` are of the 256 values."""

    def fill(figure: Any) -> None:
        ax = axes(figure, x="value (0 to 1)", y="share of the pixels (%)")
        for name, found in shares.items():
            _steps(ax, 100 * found.reshape(64, 4).sum(axis=1), np.linspace(0, 1, 65), name=name)
        ax.set_xlim(0, 1)
        ax.set_ylim(bottom=0)
        legend_below(figure, ax)

    return png(fill, width=3.8, height=2.9)


def curves(
    lines: Mapping[Source, Values], *, x: Values, y: str, band: Values | None, band_label: str
) -> bytes:
    """A line for every source over frequency, and a grey ``band`` from its first row to its second."""

    def fill(figure: Any) -> None:
        ax = axes(figure, x="frequency (cycles per pixel)", y=y)
        if band is not None:
            ax.fill_between(x, *band, color="#c9d3dc", alpha=0.75, linewidth=0, label=band_label)
        for source, line in lines.items():
            ax.plot(x, line, label=_legend_name(source), **_line(source))
        ax.axvline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
        ax.set_xlim(0, 0.72)
        legend_below(figure, ax)

    labels = [band_label, *(_legend_name(source) for source in lines)]
    return png(fill, width=_WIDTH, height=3.4 + 0.21 * -(-len(labels) // legend_columns(labels)))


def _line(source: Source) -> dict[str, Any]:
    if source.label == REAL:
        return {"color": _COLOURS[REALS], "linewidth": 2.6}
    place = source.rank - 1
    return {
        "color": _SOURCE_HUES[place % len(_SOURCE_HUES)],
        "linewidth": 1.5,
        "linestyle": _DASHES[place // len(_SOURCE_HUES) % len(_DASHES)],
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


def _legend_name(source: Source) -> str:
    """The name, or its beginning and end if it is too long for a legend."""
    name = source.name
    return plain(name if len(name) <= _NAME else f"{name[: _NAME // 2 - 1]}…{name[-_NAME // 2 :]}")
