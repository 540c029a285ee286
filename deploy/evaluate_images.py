"""An artifact's answers on many images, as they are and degraded, a few of them in memory at a time. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deploy.cautions import cautions_about
from deploy.in_order import in_order
from deploy.photos import Progress
from deploy.runtime import Detector
from distill.data.samples import Sample
from distill.data.storage import open_image, open_sized
from distill.data.transforms.degradations import degrade
from distill.errors import EdgeproofError

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What was said of the images that could be decoded.

    Attributes:
        samples: they.
        probabilities: calibrated, of *generated* ``[N]`` or of every class ``[N, K]``.
        far: path → what to bear in mind, of the images that are far from the model's input.
        skipped: a line for each of the others.
    """

    samples: tuple[Sample, ...]
    probabilities: Scores
    far: dict[str, str]
    skipped: tuple[str, ...]


def answers_on(
    detector: Detector, root: Path, samples: Sequence[Sample], *, progress: Progress | None = None
) -> Answers:
    """Judge each image as :meth:`deploy.runtime.Detector.predict` does; of ``tiles`` the logits are averaged.

    Raises:
        EdgeproofError: not one image can be decoded.
    """
    spec = detector.preprocessing()

    def work(sample: Sample) -> tuple[Scores, tuple[str, ...]] | str:
        try:
            image, size = open_sized(root, sample, smallest=spec.smallest_decoded)
            pixels = spec.apply(image)
        except (EdgeproofError, OSError) as error:  # one bad file must not end the work
            return str(error)
        logits = detector.run(pixels).astype(np.float64)
        return logits.mean(axis=0), cautions_about(spec, size=size, crops=len(pixels))

    kept: list[Sample] = []
    logits: list[Scores] = []
    far: dict[str, str] = {}
    skipped: list[str] = []
    found = in_order(work, samples, workers=detector.workers)
    for number, (sample, answer) in enumerate(zip(samples, found, strict=True), start=1):
        if isinstance(answer, str):
            skipped.append(answer)
        else:
            kept.append(sample)
            logits.append(answer[0])
            far.update({sample.path: "; ".join(answer[1])} if answer[1] else {})
        if progress:
            progress(number, len(samples))
    if not kept:
        raise EdgeproofError(f"{root}: no image can be used, {len(skipped)} failed, the first: {skipped[0]}")
    return Answers(tuple(kept), detector.probabilities(np.stack(logits)), far, tuple(skipped))


def degraded_answers(
    detector: Detector,
    root: Path,
    samples: Sequence[Sample],
    *,
    names: Sequence[str],
    progress: Progress | None = None,
) -> Scores:
    """Probabilities ``[D, N]`` or ``[D, N, K]`` of the images after each of the named degradations.

    Each is decoded once at its full size and degraded before the preprocessing, as a degraded file arrives.
    """
    spec = detector.preprocessing()

    def work(sample: Sample) -> Scores:
        image = open_image(root, sample)
        crops = [spec.apply(degrade(image, name, sample=sample)) for name in names]
        return np.stack([detector.run(pixels).astype(np.float64).mean(axis=0) for pixels in crops])

    logits: list[Scores] = []
    for number, answer in enumerate(in_order(work, samples, workers=detector.workers), start=1):
        logits.append(answer)
        if progress:
            progress(number, len(samples))
    return detector.probabilities(np.stack(logits, axis=1))
