"""A clip's answer in the form of a photo's, for the same tables. Torch-free."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.runtime import Detector
from deploy.video.faces import FindFace
from deploy.video.frames import Sampling
from deploy.video.judge import judge_clip
from deploy.video.timeline import write_timeline
from distill.preprocess import Policy


def clip_answers(
    detector: Detector,
    *,
    sampling: Sampling,
    policy: Policy | None = None,
    faces: Callable[[Path], FindFace] | None = None,
    out: Path | None = None,
) -> Callable[[Path], dict[str, Any]]:
    """What answers clips for :func:`deploy.predict.answers_for`.

    Args:
        detector: see :func:`deploy.video.judge.judge_clip`, and so are the others.
        sampling: which frames.
        policy: of the detector.
        faces: makes what finds the faces of one clip.
        out: folder for a timeline of each.
    """
    taken: set[str] = set()

    def answer(path: Path) -> dict[str, Any]:
        finder = faces(path) if faces else None
        record = judge_clip(detector, path, sampling=sampling, policy=policy, faces=finder)
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
