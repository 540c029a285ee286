"""Drawing surface of the report's pictures: themes, colours, PNG. Matplotlib is imported when first needed.

Colours are those of Okabe and Ito (2008), safe for colour-blind readers. A model keeps its colour in every
picture; line and marker tell its variants apart. The style sheet turns light pictures dark on dark pages.
"""

import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

from bench.report.blocks import Picture
from bench.report.data import Contestant, RunData

_DPI = 144


PAPER, INK, FAINT, GRID = "#ffffff", "#1b1f24", "#6b7280", "#e3e6ea"
MAP_LOW, MAP_HIGH = "#f3f6f9", "#9ec9e2"
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")

Draw = Callable[[Any], None]


def colour_of(run: RunData, student: str) -> str:
    """The colour of a student in every picture; the teacher is ink."""
    return HUES[run.students.index(student) % len(HUES)] if student in run.students else INK


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: no mathematics between dollar signs."""
    return text.replace("$", r"\$")


def picture(name: str, *, finding: str, draw: Draw, width: float = 5.6, height: float = 4.0) -> Picture:
    """Draw one picture.

    Args:
        name: file stem under ``plots/``.
        finding: the title, which says what the picture shows; also its alternative text.
        draw: fills a ``matplotlib.figure.Figure``.
        width: inches.
        height: inches.

    Raises:
        ImportError: matplotlib is not installed.

    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=PAPER, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(
        plain(finding), x=0.012, ha="left", fontsize=10.5, fontweight="bold", color=INK, wrap=True
    )
    draw(figure)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks draws as boxes; the tables still show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        canvas.print_png(buffer, metadata={"Software": None})
    return Picture(name, finding, _smaller(buffer.getvalue()))


def _smaller(png: bytes) -> bytes:
    """The same picture with a palette, a third of the size."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()


def axes(figure: Any, *, x: str, y: str) -> Any:
    """One plain axes; the titles name their units."""
    ax = figure.add_subplot()
    dress(ax, x=x, y=y)
    return ax


def dress(ax: Any, *, x: str = "", y: str = "") -> None:
    """Two spines, a light grid, small titles."""
    ax.set_facecolor(PAPER)
    ax.set_xlabel(x, color=FAINT, fontsize=9)
    ax.set_ylabel(y, color=FAINT, fontsize=9)
    ax.tick_params(colors=FAINT, labelsize=8.5, length=3, which="both")
    ax.grid(True, color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
        spine.set_linewidth(0.8)


def legend(ax: Any, **options: Any) -> None:
    """A frameless legend in the theme's colours."""
    drawn = ax.legend(
        frameon=False, fontsize=8.5, labelcolor=INK, title_fontsize=8.5, alignment="left", **options
    )
    drawn.get_title().set_color(FAINT)


def look(run: RunData, item: Contestant) -> dict[str, Any]:
    """Colour and line of a model: control dashed and faint, INT8 dotted, teacher ink."""
    line = {"control": (0, (5, 2)), "artifact": (0, (1.2, 1.2))}.get(item.kind, "-")
    colour = FAINT if item.kind == "control" else colour_of(run, item.student)
    return {"color": colour, "linestyle": line, "linewidth": 2.4 if item.kind == "artifact" else 1.7}
