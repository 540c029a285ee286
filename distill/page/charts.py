"""How charts look: colours, axes, legends, PNG. Matplotlib is imported when first needed.

Colours are those of Okabe and Ito (2008), safe for colour-blind readers; line, marker and fill tell apart too.
Charts are light; the style sheet turns them dark on dark pages. Every chart is a figure of its own, nothing global.
"""

import io
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

PAPER, INK, FAINT, GRID = "#ffffff", "#1b1f24", "#59616b", "#e3e6ea"
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")

_DPI = 144
_LABEL, _TICK, _KEY = 9.5, 9.0, 9.0  # points
_KEY_ROOM = 66  # characters across a legend below the axes

Draw = Callable[[Any], None]
"""Fills a ``matplotlib.figure.Figure``."""


def png(draw: Draw, *, width: float, height: float, title: str = "") -> bytes:
    """Draw one chart.

    Args:
        draw: fills the figure.
        width: inches.
        height: inches.
        title: stands in the picture, for one that is also shown without the page.

    Raises:
        ImportError: matplotlib is not installed.
    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=PAPER, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    if title:
        figure.suptitle(plain(title), x=0.012, ha="left", fontsize=10.5, weight="bold", color=INK, wrap=True)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks draws as boxes; the tables still show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        draw(figure)
        canvas.print_png(buffer, metadata={"Software": None})
    return _smaller(buffer.getvalue())


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: no mathematics between dollar signs, nothing that does not print."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text).replace("$", r"\$")


def axes(figure: Any, *, x: str, y: str) -> Any:
    """One plain axes; the titles name their units."""
    ax = figure.add_subplot()
    dress(ax, x=x, y=y)
    return ax


def dress(ax: Any, *, x: str = "", y: str = "") -> None:
    """Two spines, a light grid, small titles."""
    ax.set_facecolor(PAPER)
    ax.set_xlabel(x, color=FAINT, fontsize=_LABEL)
    ax.set_ylabel(y, color=FAINT, fontsize=_LABEL)
    ax.tick_params(colors=FAINT, labelsize=_TICK, length=3, which="both")
    ax.grid(True, color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
        spine.set_linewidth(0.8)


def legend(ax: Any, **options: Any) -> None:
    """A frameless legend in the charts' colours."""
    drawn = ax.legend(
        frameon=False, fontsize=_KEY, labelcolor=INK, title_fontsize=_KEY, alignment="left", **options
    )
    drawn.get_title().set_color(FAINT)


def legend_below(figure: Any, ax: Any) -> None:
    """A legend under the axes, in as many columns as its labels leave room for."""
    handles, labels = ax.get_legend_handles_labels()
    drawn = figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=legend_columns(labels),
        frameon=False,
        fontsize=_KEY,
        labelcolor=INK,
    )
    for handle in drawn.legend_handles:
        if hasattr(handle, "set_sizes"):  # of a scatter: as large as its first bubble otherwise
            handle.set_sizes([90])


def legend_columns(labels: Sequence[str]) -> int:
    """How many columns of such labels a legend below has room for; it fills one after the other."""
    for columns in (3, 2):
        rows = -(-len(labels) // columns)
        parts = [labels[start : start + rows] for start in range(0, len(labels), rows)]
        if sum(8 + max(map(len, part)) for part in parts) <= _KEY_ROOM:
            return columns
    return 1


def _smaller(full: bytes) -> bytes:
    """The same picture with a palette, a third of the size."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(full)) as image:
        image.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
