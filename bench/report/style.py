"""How the report's pictures show a model: it keeps its colour in every one; line, marker and fill tell its forms apart."""

from typing import Any

from bench.records.identity import Runtime
from bench.report.data import RunData
from bench.report.entry import Entry
from distill.page import charts
from distill.page.blocks import Picture
from distill.page.charts import FAINT, HUES, INK

MARKERS: dict[Runtime, str] = {"torch": "o", "onnxruntime": "s", "openvino": "D"}
MAP_LOW, MAP_HIGH = "#f3f6f9", "#9ec9e2"


def colour_of(run: RunData, model: str) -> str:
    """The colour of a student in every picture; teachers are ink."""
    return HUES[run.students.index(model) % len(HUES)] if model in run.students else INK


def marker_of(item: Entry) -> str:
    """The marker of a model's runtime."""
    return MARKERS[item.identity.runtime]


def style_of(run: RunData, item: Entry) -> dict[str, Any]:
    """Colour and line of a model: dashed and faint without a teacher, artifacts dotted, teachers ink."""
    line: Any = (0, (5, 2)) if item.is_control else (0, (1.2, 1.2)) if item.is_artifact else "-"
    colour = FAINT if item.is_control else colour_of(run, item.name)
    return {"color": colour, "linestyle": line, "linewidth": 2.4 if item.is_artifact else 1.7}


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


def slug(text: str) -> str:
    """A file stem from any name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in text) or "model"
