"""One clip through a detector, frame by frame as it is decoded. Torch-free."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from deploy.cautions import cautions_about
from deploy.prediction import answer_of
from deploy.runtime import Detector
from deploy.video.faces import Box, FindFace, cut_face
from deploy.video.frames import Frame, Sampling, open_clip
from deploy.video.record import ClipRecord, FrameAnswer
from deploy.video.steadiness import detail_change, fine_detail, robust_mean, steadiness
from distill.errors import EdgeproofError
from distill.preprocess import Pixels, Policy, PreprocessSpec

Floats = npt.NDArray[np.float64]
_USUAL = Sampling()


@dataclass
class _Seen:
    """What is kept of the frames: a few numbers each, and the fine detail of the last one."""

    times: list[float] = field(default_factory=list)
    bursts: list[int] = field(default_factory=list)
    logits: list[Floats] = field(default_factory=list)
    details: list[float] = field(default_factory=list)
    faces: list[Box | None] = field(default_factory=list)
    faceless: int = 0
    last: npt.NDArray[np.float32] | None = None
    size: tuple[int, int] = (0, 0)
    looked_at: tuple[int, int] = (0, 0)
    crops: int = 1


def judge_clip(
    detector: Detector,
    path: Path,
    *,
    sampling: Sampling = _USUAL,
    policy: Policy | None = None,
    faces: FindFace | None = None,
    progress: Callable[[float], None] | None = None,
) -> ClipRecord:
    """Judge a clip; of its pictures no more than one is held at a time, however long it is.

    Args:
        detector: judges one frame after the other.
        path: the clip.
        sampling: which frames.
        policy: see :meth:`deploy.runtime.Detector.predict`.
        faces: finds the face of a frame, which is looked at instead of the whole; a frame without one is left out.
        progress: told the seconds that have been decoded.

    Raises:
        EdgeproofError: no video, one without pictures, no face where faces were asked for, or a model that answers no finite
            number.
    """
    spec, seen = detector.preprocessing(policy), _Seen()
    with open_clip(path) as clip:
        for frame in clip.frames(sampling):
            _look(detector, frame, seen, spec=spec, faces=faces)
            if progress:
                progress(frame.time_s)
        if not seen.times:
            raise EdgeproofError(f"{path}: found no face in {seen.faceless} frames, expected one at least")
        duration_s, cautions = max(clip.duration_s, seen.times[-1]), tuple(clip.cautions)
    logits = np.array(seen.logits)
    if not np.isfinite(logits).all():
        raise EdgeproofError(f"{path}: the model answers a number that is not finite, expected finite ones")
    about = (detector.caution,) if detector.caution else ()
    return _record(
        detector, seen, logits, path=path, duration_s=duration_s,
        cautions=(*about, *cautions_about(spec, size=seen.looked_at, crops=seen.crops), *_faceless(seen), *cautions),
    )  # fmt: skip


def _faceless(seen: _Seen) -> Iterator[str]:
    if seen.faceless:
        yield f"{seen.faceless} of {seen.faceless + len(seen.times)} frames had no face and were left out"


def _look(
    detector: Detector, frame: Frame, seen: _Seen, *, spec: PreprocessSpec, faces: FindFace | None
) -> None:
    pixels, box = frame.pixels, None
    if faces:
        if (box := faces(frame)) is None:
            seen.faceless, seen.last = seen.faceless + 1, None
            return
        pixels = cut_face(pixels, box)
    crops = spec.apply(Image.fromarray(pixels))
    detail = fine_detail(crops[len(crops) // 2])
    neighbour = seen.last is not None and (seen.bursts[-1], seen.faces[-1]) == (frame.burst, box)
    seen.details.append(detail_change(seen.last, detail) if neighbour and seen.last is not None else np.nan)
    seen.last, seen.crops = detail, len(crops)
    smallest = min(seen.looked_at, _size(pixels)) if seen.times else _size(pixels)
    seen.size, seen.looked_at = _size(frame.pixels), smallest
    seen.faces.append(box)
    seen.times.append(frame.time_s)
    seen.bursts.append(frame.burst)
    seen.logits.append(detector.run(crops).astype(np.float64).mean(axis=0))


def _size(pixels: Pixels) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    return width, height


def _record(
    detector: Detector,
    seen: _Seen,
    logits: Floats,
    *,
    path: Path,
    duration_s: float,
    cautions: tuple[str, ...],
) -> ClipRecord:
    manifest, whole = detector.manifest, robust_mean(logits)
    scores = detector.probabilities(whole)
    classes = manifest.task == "multiclass"
    best = int(np.argmax(scores)) if classes else 0
    series = _log_odds(logits, best) if classes else logits
    chances = 1 / (1 + np.exp(-np.clip(series, -500, 500)))
    probability = float(scores[best]) if classes else float(scores)
    generated = manifest.threshold is not None and probability >= manifest.threshold
    bursts = np.array(seen.bursts)
    means = {number: float(series[bursts == number].mean()) for number in dict.fromkeys(seen.bursts)}
    strongest = max(means, key=means.__getitem__)
    return ClipRecord(
        path=str(path), artifact=manifest.name, label=manifest.labels[best if classes else int(generated)],
        answer=None if classes else answer_of(probability, band=manifest.band),
        probability=probability, logit=float(_log_odds(whole[None], best)[0] if classes else whole),
        median=float(np.median(series)), threshold=manifest.threshold,
        share=_share(logits, chances, best=best, generated=generated, threshold=manifest.threshold),
        strongest_s=seen.times[seen.bursts.index(strongest)], strongest=float(1 / (1 + np.exp(-means[strongest]))),
        duration_s=duration_s, width=seen.size[0], height=seen.size[1],
        steadiness=steadiness(series, chances, bursts, seen.details),
        frames=tuple(
            FrameAnswer(time_s=time, burst=burst, logit=float(logit), probability=float(chance), face=face)
            for time, burst, logit, chance, face in zip(
                seen.times, seen.bursts, series, chances, seen.faces, strict=True
            )
        ),
        faceless=seen.faceless,
        probabilities=dict(zip(manifest.labels, map(float, scores), strict=True)) if classes else None,
        cautions=cautions,
    )  # fmt: skip


def _log_odds(logits: Floats, best: int) -> Floats:
    """Of one class against the others, ``[N, K]`` → ``[N]``."""
    found: Floats = logits[:, best] - np.logaddexp.reduce(np.delete(logits, best, axis=1), axis=1)
    return found


def _share(logits: Floats, chances: Floats, *, best: int, generated: bool, threshold: float | None) -> float:
    """Of the frames that say by themselves what the clip is said to be."""
    if threshold is None:
        return float((logits.argmax(axis=1) == best).mean())
    return float(((chances >= threshold) == generated).mean())
