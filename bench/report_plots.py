"""Drawing surface of the report's pictures: themes, colours, PNG. Matplotlib is imported when first needed.

Colours are those of Okabe and Ito (2008), safe for colour-blind readers; the dark theme takes lighter
relatives of the same hues. A model keeps its colour in every picture; line and marker tell its variants.
"""

import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.report_blocks import Picture
from bench.report_data import Contestant, RunData

_DPI = 160


@dataclass(frozen=True)
class Theme:
    """Colours of one page background."""

    paper: str
    ink: str
    faint: str
    grid: str
    hues: tuple[str, ...]
    map_low: str
    map_high: str

    def colour(self, run: RunData, student: str) -> str:
        """The colour of a student in every picture; the teacher is ink."""
        return (
            self.hues[run.students.index(student) % len(self.hues)] if student in run.students else self.ink
        )


LIGHT = Theme(
    paper="#ffffff",
    ink="#1b1f24",
    faint="#6b7280",
    grid="#e3e6ea",
    hues=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    map_low="#f3f6f9",
    map_high="#9ec9e2",
)
DARK = Theme(
    paper="#161a20",
    ink="#e6e8eb",
    faint="#9aa3ad",
    grid="#2b313a",
    hues=("#56B4E9", "#F28A4B", "#2CC295", "#DE9BC0", "#F0C04A"),
    map_low="#1d232b",
    map_high="#1f5f86",
)

Draw = Callable[[Any, Theme], None]


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: no mathematics between dollar signs."""
    return text.replace("$", r"\$")


def picture(name: str, *, finding: str, draw: Draw, width: float = 5.6, height: float = 4.0) -> Picture:
    """Draw one picture for light and for dark pages.

    Args:
        name: file stem under ``plots/``.
        finding: the title, which says what the picture shows; also its alternative text.
        draw: fills a ``matplotlib.figure.Figure``.
        width: inches.
        height: inches.

    Raises:
        ImportError: matplotlib is not installed.

    """
    light, dark = (_png(theme, finding=finding, draw=draw, size=(width, height)) for theme in (LIGHT, DARK))
    return Picture(name, finding, light, dark)


def _png(theme: Theme, *, finding: str, draw: Draw, size: tuple[float, float]) -> bytes:
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, facecolor=theme.paper, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(
        plain(finding), x=0.012, ha="left", fontsize=10.5, fontweight="bold", color=theme.ink, wrap=True
    )
    draw(figure, theme)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks draws as boxes; the tables still show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        canvas.print_png(buffer, metadata={"Software": None})
    return _smaller(buffer.getvalue())


def _smaller(png: bytes) -> bytes:
    """The same picture with a palette, a third of the size."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def axes(figure: Any, theme: Theme, *, x: str, y: str) -> Any:
    """One plain axes: two spines, a light grid, axis titles with their units."""
    ax = figure.add_subplot()
    ax.set_facecolor(theme.paper)
    ax.set_xlabel(x, color=theme.faint, fontsize=9)
    ax.set_ylabel(y, color=theme.faint, fontsize=9)
    ax.tick_params(colors=theme.faint, labelsize=8.5, length=3, which="both")
    ax.grid(True, color=theme.grid, linewidth=0.8)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.faint)
        spine.set_linewidth(0.8)
    return ax


def legend(ax: Any, theme: Theme, **options: Any) -> None:
    """A frameless legend in the theme's colours."""
    ax.legend(frameon=False, fontsize=8.5, labelcolor=theme.ink, **options)


def look(run: RunData, theme: Theme, item: Contestant) -> dict[str, Any]:
    """Colour and line of a model: control dashed and faint, INT8 dotted, teacher ink."""
    line = {"control": (0, (5, 2)), "artifact": (0, (1.2, 1.2))}.get(item.kind, "-")
    colour = theme.faint if item.kind == "control" else theme.colour(run, item.student)
    return {"color": colour, "linestyle": line, "linewidth": 2.4 if item.kind == "artifact" else 1.7}
