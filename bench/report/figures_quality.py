"""Pictures of one student beside its teacher, itself without one, and INT8: ROC and calibration."""

from typing import Any

from bench.report.data import RunData
from bench.report.entry import Entry
from bench.report.style import marker_of, picture, slug, style_of
from distill.page.blocks import Picture
from distill.page.charts import FAINT, GRID, axes, legend, plain
from distill.page.formats import fixed


def team(run: RunData, student: str, int8: Entry | None) -> list[Entry]:
    """The models one student's pictures compare: teacher, distilled, alone, INT8."""
    found = (run.teacher, run.student(student), run.student(student, arm="alone"), int8)
    return [item for item in found if item is not None]


def roc(run: RunData, student: str, int8: Entry | None) -> Picture | None:
    """ROC on test of teacher, student, alone and INT8."""
    curves = [(e, e.accuracy.roc) for e in team(run, student, int8) if e.accuracy and e.accuracy.roc]
    if not curves:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x="False positive rate (real called generated)", y="True positive rate")
        ax.plot([0, 1], [0, 1], color=GRID, linewidth=1.2)
        for item, curve in curves:
            label = f"{plain(item.short)}  {fixed(item.score)}"
            ax.plot(curve.fpr, curve.tpr, label=label, **style_of(run, item))
        ax.set_aspect("equal")
        legend(ax, loc="lower right", title="AUC")

    finding = f"{student}: {_against_fp32(run, student, int8) or 'ROC on the test split'}"
    return picture(f"roc_{slug(student)}", finding=finding, draw=draw, height=5.0)


def _against_fp32(run: RunData, student: str, int8: Entry | None) -> str:
    fp32 = run.student(student)
    if int8 is None or fp32 is None or int8.score is None or fp32.score is None:
        return ""
    return f"{run.measures.name} {int8.score:.3f} in INT8, {fp32.score:.3f} in FP32"


def reliability(run: RunData, student: str, int8: Entry | None) -> Picture | None:
    """Calibration: what was said against what was so, in bins."""
    items = [(item, points) for item in team(run, student, int8) if (points := _points(item))]
    if not items:
        return None

    def draw(figure: Any) -> None:
        ax = axes(figure, x=run.measures.said, y=run.measures.so)
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.0)
        for item, points in items:
            x, y = zip(*points, strict=True)
            label = f"{plain(item.short)}  {fixed(_ece(item))}"
            ax.plot(x, y, marker=marker_of(item), markersize=4, label=label, **style_of(run, item))
        ax.set_aspect("equal")
        legend(ax, loc="upper left" if run.measures.detects else "best", title="ECE")

    item, _ = items[-1]
    ece, finding = _ece(item), "calibration on test"
    if ece is not None:
        finding = f"{item.precision} probabilities are off by {100 * ece:.1f} points on average"
    return picture(f"calibration_{slug(student)}", finding=f"{student}: {finding}", draw=draw, height=5.0)


def _ece(item: Entry) -> float | None:
    return item.test.ece if item.test else None


def _points(item: Entry) -> list[tuple[float, float]]:
    """Mean probability and share that is generated, of every bin that is not empty."""
    if item.accuracy is None:
        return []
    bins = item.accuracy.reliability
    pairs = zip(bins.confidence, bins.accuracy, strict=True)
    return [(x, y) for x, y in pairs if x is not None and y is not None]
