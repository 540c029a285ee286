"""Answers for photos on the command line, each told as soon as it is there. Torch-free."""

import csv as csv_writer
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from deploy.artifact import Manifest
from deploy.cautions import SIMULATED
from deploy.in_order import in_order
from deploy.prediction import Prediction
from deploy.video.suffixes import is_clip
from distill.errors import EdgeproofError
from distill.files import atomic_path, check_output
from distill.plain import plain
from distill.preprocess import Policy, PreprocessSpec

Answer = dict[str, Any]
Form = Literal["text", "json", "lines"]
COLUMNS = ("path", "label", "answer", "probability", "logit", "threshold", "caution", "error")
_LONGEST_ERROR = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet computes instead of showing it


class Judge(Protocol):
    """What answers: a :class:`deploy.runtime.Detector`.

    Attributes:
        manifest: the artifact's.
        workers: photos that are judged side by side.
        caution: what to bear in mind with every answer, None if nothing.
    """

    manifest: Manifest
    workers: int
    caution: str | None

    def preprocessing(self, policy: Policy | None = None) -> PreprocessSpec:
        """How a photo becomes the model's input; raises :class:`EdgeproofError` for no such policy."""

    def predict(self, image: Path, *, policy: Policy | None = None) -> Prediction:
        """Judge one photo; raises :class:`EdgeproofError`."""


def answers_for(
    detector: Judge,
    photos: Iterable[Path],
    *,
    policy: Policy | None = None,
    extra: Callable[[Path], Mapping[str, Any]] | None = None,
    clips: Callable[[Path], Answer] | None = None,
) -> Iterator[Answer]:
    """One answer a photo, in their order; a bad photo gets an ``error``, the others go on.

    Args:
        detector: judges ``detector.workers`` photos side by side.
        photos: may be endless; a few are held at once.
        policy: see :meth:`Detector.predict`.
        extra: what else is told of a photo that could be read.
        clips: answers videos (see :func:`deploy.video.answer.clip_answers`); None takes every file for a photo.

    Raises:
        EdgeproofError: no such policy.
    """
    detector.preprocessing(policy)

    def answer(photo: Path) -> Answer:
        try:
            if clips and is_clip(photo):
                return clips(photo)
            found = _answer(photo, detector.predict(photo, policy=policy), detector=detector)
            return {**found, **(extra(photo) if extra else {})}
        except EdgeproofError as error:
            empty: Answer = dict.fromkeys(COLUMNS)
            return {
                **empty,
                "path": str(photo),
                "error": str(error).removeprefix(f"{photo}: ")[:_LONGEST_ERROR],
            }

    return in_order(answer, photos, workers=detector.workers)


@dataclass(frozen=True)
class Told:
    """How many answers of each kind were told, and whether Ctrl-C ended it."""

    counts: Counter[str]
    interrupted: bool


def tell(answers: Iterable[Answer], *, form: Form, csv: Path | None, classes: tuple[str, ...]) -> Told:
    """Print answers as they come, and write them to a file of CSV; Ctrl-C ends both well.

    Args:
        answers: of :func:`answers_for`.
        form: for people, one JSON array, or a line of JSON each.
        csv: the file; replaced when all answers are in it. Names are escaped where they would break a line or could not
            be written as UTF-8; JSON keeps them exact.
        classes: names of K classes, whose probabilities have columns of their own.
    """
    counts: Counter[str] = Counter()
    interrupted = False
    with ExitStack() as stack:
        keep = stack.enter_context(_table(csv, classes)) if csv else None
        say = stack.enter_context(_FORMS[form]())
        try:
            for answer in answers:
                say(answer)
                if keep:
                    keep(answer)
                counts["error" if answer["error"] else answer["answer"] or answer["label"]] += 1
        except KeyboardInterrupt:
            interrupted = True
    return Told(counts, interrupted)


def check_csv(path: Path) -> None:
    """Raise :class:`EdgeproofError` if answers are not to be written there (see :func:`distill.files.check_output`)."""
    check_output(path, suffixes=(".csv",), starts=",".join(COLUMNS).encode(), option="--csv")


def summary(counts: Counter[str]) -> str:
    """One sentence about all photos."""
    total, errors = counts.total(), counts["error"]
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items()))
    judged = total - errors
    share = f"; answered {(judged - counts['not sure']) / judged:.1%}" if counts["not sure"] else ""
    return f"{total:,} photos: {kinds or 'none'}{share}"


def _answer(photo: Path, prediction: Prediction, *, detector: Judge) -> Answer:
    cautions = [caution for caution in (detector.caution, *prediction.cautions) if caution]
    found: Answer = {
        "path": str(photo),
        "label": prediction.label,
        "answer": prediction.answer,
        "probability": prediction.probability,
        "logit": prediction.logit,
        "threshold": prediction.threshold,
        "caution": "; ".join(cautions) or None,
        "error": None,
    }
    if prediction.probabilities is not None:
        labels = detector.manifest.labels
        found["probabilities"] = dict(zip(labels, prediction.probabilities, strict=True))
    if prediction.spread is not None:
        found["spread"] = prediction.spread
    return found


@contextmanager
def _as_text() -> Iterator[Callable[[Answer], None]]:
    yield lambda answer: print(f"{plain(answer['path'])}: {plain(_verdict(answer))}", flush=True)


@contextmanager
def _as_lines() -> Iterator[Callable[[Answer], None]]:
    yield lambda answer: print(json.dumps(answer, allow_nan=False), flush=True)


@contextmanager
def _as_array() -> Iterator[Callable[[Answer], None]]:
    separators = iter(["["])
    yield lambda answer: print(
        next(separators, ", ") + json.dumps(answer, allow_nan=False), end="", flush=True
    )
    print(next(separators, "") + "]")


_FORMS = {"text": _as_text, "json": _as_array, "lines": _as_lines}


@contextmanager
def _table(path: Path, classes: tuple[str, ...]) -> Iterator[Callable[[Answer], None]]:
    names = {name: f"probability of {name}" for name in classes}
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer.DictWriter(
            file, fieldnames=(*COLUMNS, *names.values()), lineterminator="\n", extrasaction="ignore"
        )
        writer.writeheader()

        def keep(answer: Answer) -> None:
            scores = answer.get("probabilities") or {}
            cells = {**answer, "path": _path_cell(answer["path"])}
            cells |= {names[name]: score for name, score in scores.items()}
            writer.writerow({key: safe_cell(value) for key, value in cells.items()})

        yield keep


def _path_cell(path: str) -> str:
    """The same file by a name that no spreadsheet takes for a formula."""
    return f"./{path}" if path.startswith(_FORMULA) else path


def safe_cell(value: Any) -> Any:
    """Numbers as they are; text that is visible, in one line, and no formula."""
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _verdict(answer: Answer) -> str:
    if answer["error"]:
        return f"error: {answer['error']}"
    numbers = f"probability {answer['probability']:.3f}"
    if answer["threshold"] is not None:
        numbers = f"probability of generated {answer['probability']:.3f}, threshold {answer['threshold']:.3f}"
    said = f"{answer['answer'] or answer['label']} ({numbers})"
    provenance = [f"; the file says: {claim['text']}" for claim in answer.get("provenance") or ()]
    # the model's own caution was told before the first answer
    caution = (answer["caution"] or "").removeprefix(SIMULATED).removeprefix("; ")
    return said + (f"; caution: {caution}" if caution else "") + "".join(provenance)


def warn(text: str) -> None:
    """One line on standard error."""
    print(f"edgeproof: {plain(text)}", file=sys.stderr, flush=True)
