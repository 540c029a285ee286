"""What the teacher learned from, where the sidecar of its weights tells it."""

from collections.abc import Mapping
from typing import Any

from bench.report.data import RunData
from distill.files import read_json
from distill.page.blocks import Text
from distill.page.formats import count


def lessons(run: RunData) -> Text | None:
    """What the teacher knew that the student does not, and what the student has; None where nothing tells it."""
    about = _sidecar(run)
    has = _students(run)
    learned = about.get("learned_from")
    if isinstance(learned, Mapping) and learned.get("own") is False and not about.get("adopted_from"):
        return Text(f"The teacher learned from the same labelled images as the student{has}.")
    if isinstance(learned, Mapping) and isinstance(learned.get("labelled"), int):
        return Text(f"The teacher learned from {_images(learned)} that the student never sees{has}.")
    if about.get("adopted_from"):
        data = about.get("trained_on", "unknown")
        return Text(
            f"The teacher's weights were trained elsewhere ({about['adopted_from']}; data: {data}){has}."
        )
    if about:
        return Text(f"The teacher learned from the same labelled images as the student{has}.")
    return None


def _sidecar(run: RunData) -> Mapping[str, Any]:
    """What stands beside the main teacher's weights; nothing where it cannot be read, since it only tells more."""
    path = run.path / "teacher" / "weights.json"
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _images(learned: Mapping[str, Any]) -> str:
    kind = " simulated" if learned.get("data") == "simulated" else ""
    scenes = learned.get("scenes")
    of = f" of {count(scenes)} scenes" if isinstance(scenes, int) else ""
    return f"{count(learned['labelled'])} labelled{kind} images{of}"


def _students(run: RunData) -> str:
    """What the student has: nothing is said without the data's summary."""
    if run.summary is None or "train" not in run.summary.splits:
        return ""
    train, further = run.summary.splits["train"], run.summary.splits.get("unlabelled")
    shown = count(further.unlabelled) if further and further.unlabelled else "none"
    return f"; the student has {count(train.labelled)} labelled and {shown} without a label"
