"""Whether an artifact answers as its reference does, on images of every kind, and well enough. Torch-free."""

from collections.abc import Iterator, Mapping

import numpy as np

from deploy.awkward import awkward_pixels, random_pixels
from deploy.limits import MAX_DRIFT, Probabilities, metrics_of
from deploy.parity import FP32_LIMIT
from deploy.photos import Photos
from deploy.verify_record import Flip
from deploy.verify_work import UNTRUSTED, Work
from distill.evaluation.metrics import verdicts
from distill.evaluation.statistics import bootstrap_ci
from distill.preprocess import Pixels

MAX_FLIPS = 0.05
MAX_DROP = {"auc": 0.02, "tpr_at_5fpr": 0.1, "accuracy": 0.02}
_FEWEST_TO_JUDGE = 40  # images with labels, below which an AUC says nothing


def _pairs(work: Work, pixels: Pixels) -> Iterator[tuple[str, Probabilities, Probabilities, float | None]]:
    """Each runtime's answers, the reference's, and the latter's threshold; without one, the first runtime's are it."""
    said = {name: detector.probabilities(detector.run(pixels)) for name, detector in work.detectors.items()}
    if work.against:
        expected, threshold = work.against.judge(pixels), work.against.threshold
    elif len(said) > 1:
        first = next(iter(said))
        expected, threshold = said.pop(first), work.manifest.threshold
    else:
        return
    for runtime, found in said.items():
        yield runtime, found, expected, threshold


def _exact(work: Work) -> bool:
    """Whether both sides compute in FP32, so that nothing may differ."""
    return work.manifest.precision == "fp32" and (work.against is None or work.against.precision == "fp32")


def judge_parity(work: Work) -> None:
    """Images that are no photographs: FP32 forms must agree; of a smaller one, the difference is told."""
    awkward = awkward_pixels(work.manifest.preprocess)
    noise = random_pixels(work.manifest.preprocess.size)
    sets = {
        "awkward images": (list(awkward), np.concatenate(list(awkward.values()))),
        "random pixels": ([f"number {index}" for index in range(len(noise))], noise),
    }
    for name, (titles, pixels) in sets.items():
        pairs = list(_pairs(work, pixels))
        if not pairs:
            work.note(f"parity, {name}", "not checked", _nothing(work))
        for runtime, said, expected, _ in pairs:
            limit = FP32_LIMIT if _exact(work) else None
            problems, told = _compared(said, expected, titles, limit=limit)
            work.judge(f"parity, {name}, {runtime}", problems, told)


def _nothing(work: Work) -> str:
    return UNTRUSTED if not work.trusted else "there is nothing to compare with (--against)"


def _compared(
    said: Probabilities, expected: Probabilities, titles: list[str], *, limit: float | None
) -> tuple[list[str], str]:
    """Problems, and what to say if there are none."""
    if not (np.isfinite(said).all() and np.isfinite(expected).all()):
        return ["a probability is not a finite number"], ""
    gaps = np.abs(said - expected).reshape(len(said), -1).max(axis=1)
    worst = int(gaps.argmax())
    told = f"{len(said)} images, largest difference of probability {gaps[worst]:.2g} ({titles[worst]})"
    if limit is None:
        return [], f"{told}; not judged, since precisions differ and these are no photographs"
    return ([f"{told}, at most {limit:g}"] if gaps[worst] > limit else []), told


def judge_images(work: Work) -> None:
    """The user's own: how far the probability is off, and which verdicts turn."""
    if work.photos is None:
        work.note("images", "not checked", "no images were given (--data)")
        return
    pairs = list(_pairs(work, work.photos.pixels))
    if not pairs:
        work.note("images", "not checked", _nothing(work))
    for runtime, said, expected, threshold in pairs:
        limit = FP32_LIMIT if _exact(work) else MAX_DRIFT
        problems, told = _compared(said, expected, work.photos.names, limit=limit)
        if np.isfinite(said).all() and np.isfinite(expected).all():
            flips = list(_flips(work, work.photos, runtime, said, expected, threshold))
            share = f"{len(flips)} of {len(said)} verdicts flip"
            if len(flips) > max(1, MAX_FLIPS * len(said)):  # one image of a few proves nothing
                problems.append(f"{share}, at most {MAX_FLIPS:.0%}")
            if threshold != work.manifest.threshold:
                share += f" (thresholds {threshold:.3f} and {work.manifest.threshold:.3f})"
            told = f"{told}; {share}"
            work.flips += flips
        work.judge(f"images, {runtime}", problems, told)
    if work.photos.skipped:
        first = work.photos.skipped[0]
        work.warnings.append(f"{len(work.photos.skipped)} images cannot be decoded, the first: {first}")


def _flips(
    work: Work,
    photos: Photos,
    runtime: str,
    said: Probabilities,
    expected: Probabilities,
    threshold: float | None,
) -> Iterator[Flip]:
    labels = work.manifest.labels
    was, now = verdicts(expected, threshold), verdicts(said, work.manifest.threshold)
    for index in np.flatnonzero(was != now):
        before, after = (
            float(scores[index] if scores.ndim == 1 else scores[index, verdict[index]])
            for scores, verdict in ((expected, was), (said, now))
        )
        yield Flip(
            image=photos.names[index], runtime=runtime, before=before, after=after,
            was=labels[was[index]], now=labels[now[index]],
        )  # fmt: skip


def judge_accuracy(work: Work) -> None:
    """On labelled images: no better than guessing fails, and so does a large drop."""
    photos = work.photos
    if photos is None or photos.labels is None:
        reason = (
            "no images were given (--data)" if photos is None else "the images have no labels of both classes"
        )
        work.note("accuracy", "not checked", reason)
        return
    if len(photos) < _FEWEST_TO_JUDGE:
        work.note("accuracy", "not checked", f"{len(photos)} images, expected {_FEWEST_TO_JUDGE} or more")
        return
    before = None
    if work.against:
        expected = work.against.judge(photos.pixels)
        before = metrics_of(work.task, photos.labels, expected, threshold=work.against.threshold)
    for runtime, detector in work.detectors.items():
        said = detector.probabilities(detector.run(photos.pixels))
        found = metrics_of(work.task, photos.labels, said, threshold=work.manifest.threshold)
        problems = list(_losses(found, before or {})) + _guessing(work, photos, said)
        told = ", ".join(f"{name} {value:.4f}" for name, value in found.items() if name in MAX_DROP)
        work.judge(f"accuracy, {runtime}", problems, told)


def _losses(found: Mapping[str, float], before: Mapping[str, float]) -> Iterator[str]:
    for name, limit in MAX_DROP.items():
        if name in found and name in before and before[name] - found[name] > limit:
            yield f"{name} is {found[name]:.4f}, the reference's {before[name]:.4f}: at most {limit:g} less"


def _guessing(work: Work, photos: Photos, said: Probabilities) -> list[str]:
    if work.manifest.task != "binary" or photos.labels is None:
        return []
    interval = bootstrap_ci(photos.labels, said, None, n=500, seed=0)
    if interval is None or interval[0] > 0.5:
        return []
    low, high = interval
    return [f"AUC {low:.3f} to {high:.3f} (95 % interval): cannot be told from guessing"]
