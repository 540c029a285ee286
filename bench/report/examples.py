"""Images that tell more than rates: the most wrong of the chosen model, and those whose verdict INT8 turned.

They are read from the run's data where it still lies there; of a run whose data or predictions are gone, a line says so.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.report.data import RunData
from bench.report.entry import Entry
from distill.data.samples import GENERATED, Sample
from distill.data.storage import open_image
from distill.errors import EdgeproofError
from distill.evaluation.metrics import verdicts
from distill.page.blocks import Block, Maps, Picture, Text
from distill.page.formats import count, fixed
from distill.pipeline.runfolder import load_arrays, load_samples
from distill.plain import plain

MOST = 8
_SIDE = 128
_UNREADABLE = (EdgeproofError, OSError, ValueError, KeyError, IndexError)
Scores = npt.NDArray[Any]


@dataclass(frozen=True)
class _Said:
    """What models said of the test images, and the truth."""

    samples: tuple[Sample, ...]
    labels: npt.NDArray[np.int64]
    chosen: Scores
    before: Scores


def most_wrong(run: RunData, chosen: Entry | None) -> list[Block]:
    """The test images of whose true class the chosen model was least convinced, worst first."""
    said = _said(run, chosen)
    if said is None or chosen is None:
        return []
    sure = _of_truth(said.labels, said.chosen)
    wrong = [int(i) for i in np.argsort(sure, kind="stable")[:MOST] if sure[i] < 0.5]
    if not wrong:
        return [Text("No test image was given less than half for its true class.")]
    title = f"The {count(len(wrong))} most wrong test images of {chosen.short}"
    return _shown(run, title, [(said.samples[i], _told(run, said, i)) for i in wrong])


def turned(run: RunData, chosen: Entry | None) -> list[Block]:
    """Test images whose verdict INT8 turned, those whose probability changed most first."""
    parent = run.entry(chosen.identity.parent) if chosen else None
    said = _said(run, chosen, parent)
    if said is None or chosen is None or parent is None or not (chosen.accuracy and parent.accuracy):
        return []
    ours = verdicts(said.chosen, chosen.accuracy.threshold)
    theirs = verdicts(said.before, parent.accuracy.threshold)
    change = np.abs(said.chosen - said.before).reshape(len(said.samples), -1).max(axis=1)
    flipped = sorted(map(int, np.flatnonzero(ours != theirs)), key=lambda i: -change[i])
    if not flipped:
        return [Text(f"{chosen.short} gives every test image the verdict of {parent.short}.")]
    shown = flipped[:MOST]
    some = (
        f"{count(len(shown))} of the {count(len(flipped))}"
        if len(flipped) > len(shown)
        else count(len(shown))
    )
    title = f"{some} test images whose verdict INT8 turned: {parent.short} → {chosen.short}"
    return _shown(run, title, [(said.samples[i], _told(run, said, i, turned=True)) for i in shown])


def _said(run: RunData, chosen: Entry | None, before: Entry | None = None) -> _Said | None:
    """What the predictions in the run folder hold; None where they are gone, or are of other images."""
    if chosen is None:
        return None
    try:
        samples = load_samples(run.path).split("test")
        ours, theirs = (
            load_arrays(run.path / "predictions" / f"{item.key}.npz")["test"]
            for item in (chosen, before or chosen)
        )
    except _UNREADABLE:
        return None
    labels = np.array([sample.label for sample in samples], dtype=np.int64)
    return _Said(samples, labels, ours, theirs) if len(ours) == len(theirs) == len(labels) else None


def _of_truth(labels: npt.NDArray[np.int64], scores: Scores) -> Scores:
    """The probability that each image's true class was given, ``[N]``."""
    if scores.ndim == 1:
        return np.where(labels == GENERATED, scores, 1 - scores)
    found: Scores = scores[np.arange(len(labels)), labels]
    return found


def _told(run: RunData, said: _Said, index: int, *, turned: bool = False) -> tuple[str, str]:
    """Title and text under an image: what it is, and what was said of it."""
    names = run.accuracy.labels if run.accuracy else ()
    sample, given = said.samples[index], said.chosen[index]
    truth = names[sample.label] if sample.label < len(names) else str(sample.label)
    of = f" ({plain(sample.generator)})" if sample.generator else ""
    if given.ndim:
        best = int(given.argmax())
        return (
            f"{truth}{of}",
            f"said {names[best] if best < len(names) else best}: {fixed(float(given[best]))}",
        )
    before = f"{fixed(float(said.before[index]))} → " if turned else ""
    return f"{truth}{of}", f"generated: {before}{fixed(float(given))}"


def _shown(run: RunData, title: str, images: Sequence[tuple[Sample, tuple[str, str]]]) -> list[Block]:
    if run.recipe and not run.recipe.report.images:
        return [Text(f"{title}: images are left out of this report (report.images = false).", muted=True)]
    try:
        return [Maps(title, list(_pictures(run, images)), side=_SIDE)]
    except _UNREADABLE:
        return [Text(f"{title}: the images are no longer where the run read them.", muted=True)]


def _pictures(run: RunData, images: Sequence[tuple[Sample, tuple[str, str]]]) -> Iterator[Picture]:
    root = load_samples(run.path).root
    for sample, (title, text) in images:
        yield Picture(
            png=_thumbnail(open_image(root, sample)), alt=f"{title}, {text}", title=title, text=text
        )


def _thumbnail(image: Image.Image) -> bytes:
    """At most ``_SIDE`` pixels wide and high, on a square of grey."""
    image.thumbnail((_SIDE, _SIDE))
    width, height = image.size
    side = max(width, height)
    square = Image.new("RGB", (side, side), (128, 128, 128))
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    buffer = io.BytesIO()
    square.save(buffer, "PNG")
    return buffer.getvalue()
