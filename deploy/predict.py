"""Answers for photos on the command line. Torch-free."""

import csv as csv_writer
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.files import write_text

COLUMNS = ("path", "label", "probability", "logit", "threshold", "error")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def predict_files(
    artifact: Path, paths: Sequence[Path], *, runtime: str | None = None, threads: int | None = None
) -> list[dict[str, Any]]:
    """One answer a photo; a folder stands for the photos in it. A bad photo gets an ``error``, the others go on.

    Raises:
        EdgeproofError: the artifact cannot be loaded, or a folder holds no photo.
    """
    detector = Detector.load(artifact, runtime=runtime, threads=threads)
    return [_answer(detector, photo) for path in paths for photo in _photos(path)]


def print_answers(answers: Sequence[dict[str, Any]], *, as_json: bool, csv: Path | None) -> None:
    """As a table for people, JSON or CSV for programs."""
    if csv is not None:
        buffer = io.StringIO()
        classes = [f"probability of {name}" for name in _labels(answers)]
        writer = csv_writer.DictWriter(buffer, fieldnames=(*COLUMNS, *classes), lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_row, answers))
        write_text(csv, buffer.getvalue())
    if as_json:
        print(json.dumps(answers))
        return
    for answer in answers:
        print(f"{answer['path']}: {_verdict(answer)}")


def _verdict(answer: dict[str, Any]) -> str:
    if answer["error"]:
        return f"error: {answer['error']}"
    if answer["threshold"] is None:
        return f"{answer['label']} (probability {answer['probability']:.3f})"
    numbers = f"probability of generated {answer['probability']:.3f}, threshold {answer['threshold']:.3f}"
    return f"{answer['label']} ({numbers})"


def _labels(answers: Sequence[dict[str, Any]]) -> list[str]:
    """The names of K classes, where an answer holds their probabilities."""
    return next((list(found) for answer in answers if (found := answer.get("probabilities"))), [])


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as a line of CSV: the probability of each class in a column of its own."""
    classes = answer.get("probabilities") or {}
    plain = {key: value for key, value in answer.items() if key in COLUMNS}
    return {**plain, **{f"probability of {name}": value for name, value in classes.items()}}


def _photos(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise EdgeproofError(
            f"{path}: holds no photos, expected files ending in {', '.join(sorted(SUFFIXES))}"
        )
    return found


def _answer(detector: Detector, photo: Path) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(COLUMNS)
    try:
        prediction = detector.predict(photo)
    except EdgeproofError as error:
        return {**empty, "path": str(photo), "error": str(error).removeprefix(f"{photo}: ")}
    scores = prediction.probabilities
    classes = {} if scores is None else dict(zip(detector.manifest.labels, scores, strict=True))
    return {
        "path": str(photo),
        "label": prediction.label,
        "probability": prediction.probability,
        "logit": prediction.logit,
        "threshold": prediction.threshold,
        "error": None,
        **({"probabilities": classes} if classes else {}),
    }
