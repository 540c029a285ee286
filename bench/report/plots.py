"""How the report's pictures show a model: it keeps its colour in every one; line and marker tell its variants apart."""

from typing import Any

from bench.report.data import Contestant, RunData
from distill.page import charts
from distill.page.blocks import Picture
from distill.page.charts import FAINT, HUES, INK

MAP_LOW, MAP_HIGH = "#f3f6f9", "#9ec9e2"


def colour_of(run: RunData, student: str) -> str:
    """The colour of a student in every picture; the teacher is ink."""
    return HUES[run.students.index(student) % len(HUES)] if student in run.students else INK


def look(run: RunData, item: Contestant) -> dict[str, Any]:
    """Colour and line of a model: control dashed and faint, INT8 dotted, teacher ink."""
    line = {"control": (0, (5, 2)), "artifact": (0, (1.2, 1.2))}.get(item.kind, "-")
    colour = FAINT if item.kind == "control" else colour_of(run, item.student)
    return {"color": colour, "linestyle": line, "linewidth": 2.4 if item.kind == "artifact" else 1.7}


def picture(
    name: str, *, finding: str, draw: charts.Draw, width: float = 5.6, height: float = 4.0
) -> Picture:
    """Draw one picture.

    Args:
        name: file stem under ``plots/``.
        finding: the title, which says what the picture shows; also its alternative text.
        draw: fills the figure.
        width: inches.
        height: inches.

    Raises:
        ImportError: matplotlib is not installed.

    """
    return Picture(png=charts.png(draw, width=width, height=height, title=finding), alt=finding, name=name)
