"""A clip over time: a picture, and a table of its frames. Torch-free."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from deploy.video.record import ClipRecord
from distill.files import write_bytes, write_text
from distill.page import charts
from distill.page.formats import fixed


def write_timeline(record: ClipRecord, folder: Path, *, stem: str) -> None:
    """``<stem>.json`` with everything, ``<stem>.csv`` with a row for each frame, ``<stem>.png`` to look at."""
    record.write(folder / f"{stem}.json")
    write_text(folder / f"{stem}.csv", frames_csv(record))
    write_bytes(folder / f"{stem}.png", timeline_png(record))


def frames_csv(record: ClipRecord) -> str:
    """``time_s,burst,logit,probability``, a row for each frame that was looked at."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("time_s", "burst", "logit", "probability"))
    for frame in record.frames:
        writer.writerow(
            (f"{frame.time_s:.6f}", frame.burst, f"{frame.logit:.6f}", f"{frame.probability:.6f}")
        )
    return buffer.getvalue()


def timeline_png(record: ClipRecord) -> bytes:
    """Probability of every frame over seconds, bursts joined; the clip's own, the threshold, and how steady it is."""
    return charts.png(
        lambda figure: _draw(figure, record),
        width=9.0,
        height=3.2,
        title=f"{Path(record.path).name}: {record.answer or record.label}, {fixed(record.probability)}",
    )


def _draw(figure: Any, record: ClipRecord) -> None:
    what = record.label if record.probabilities else "generated"
    ax = charts.axes(figure, x=f"seconds of {record.duration_s:.1f}", y=f"probability of {what}")
    times = np.array([frame.time_s for frame in record.frames])
    chances = np.array([frame.probability for frame in record.frames])
    bursts = np.array([frame.burst for frame in record.frames])
    edges = np.flatnonzero(np.diff(bursts)) + 1
    for number, part in enumerate(np.split(np.arange(len(times)), edges)):
        ax.plot(
            times[part], chances[part], color=charts.HUES[0], linewidth=1.0, marker="o", markersize=2.5,
            label="" if number else "frames",
        )  # fmt: skip
    ax.axhline(record.probability, color=charts.HUES[1], linewidth=1.4, label="the clip")
    if record.threshold is not None:
        ax.axhline(record.threshold, color=charts.FAINT, linewidth=1.0, linestyle="--", label="threshold")
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlim(0, max(record.duration_s, float(times[-1])) or 1.0)
    charts.legend(ax, loc="center left", bbox_to_anchor=(1.0, 0.5), title=_steadiness(record))


def _steadiness(record: ClipRecord) -> str:
    found = record.steadiness
    return (
        f"between neighbours\ndeviation {fixed(found.deviation, 2)}\nstep {fixed(found.step)}\n"
        f"flicker {fixed(found.flicker, 2)}\ndetail {fixed(found.detail, 2)}"
    )
