"""A clip's answer in the form of a photo's, for the same tables. Torch-free."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.runtime import Detector
from deploy.video.frames import Sampling
from deploy.video.judge import judge_clip
from deploy.video.timeline import write_timeline
from distill.preprocess import Policy


def clip_answers(
    detector: Detector, *, sampling: Sampling, policy: Policy | None = None, out: Path | None = None
) -> Callable[[Path], dict[str, Any]]:
    """What answers clips for :func:`deploy.predict.answers_for`; with ``out`` it writes a timeline of each there."""
    taken: set[str] = set()

    def answer(path: Path) -> dict[str, Any]:
        record = judge_clip(detector, path, sampling=sampling, policy=policy)
        if out:
            write_timeline(record, out, stem=_free(path.name, taken))
        found: dict[str, Any] = {
            "path": str(path), "label": record.label, "answer": record.answer, "probability": record.probability,
            "logit": record.logit, "threshold": record.threshold, "caution": "; ".join(record.cautions) or None, "error": None,
        }  # fmt: skip
        if record.probabilities:
            found["probabilities"] = record.probabilities
        told = {"path", "label", "answer", "probability", "logit", "threshold", "cautions", "probabilities"}
        return {**found, "clip": record.model_dump(mode="json", exclude=told)}

    return answer


def _free(name: str, taken: set[str]) -> str:
    """A name that no other clip of this call has."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
