"""What was found of one clip: ``<clip>.json``. Torch-free."""

from deploy.video.steadiness import Steadiness
from distill.record import Frozen, Record


class FrameAnswer(Frozen):
    """One frame: seconds from the start, number of its burst, calibrated log-odds and probability of the clip's verdict.

    ``face`` is where the face is that was looked at instead of the whole: left, top, right, bottom in pixels.
    """

    time_s: float
    burst: int
    logit: float
    probability: float
    face: tuple[float, float, float, float] | None = None


class ClipRecord(Record):
    """A clip's answer and what it comes from.

    ``logit`` is the mean of the frames' without the highest and lowest fifth; ``strongest_s`` is where the burst with the
    highest mean begins, of probability ``strongest``; ``share`` is the share of frames on the verdict's side. ``frames`` are
    those that were judged; where faces were asked for, ``faceless`` more had none.
    """

    path: str
    artifact: str
    label: str
    answer: str | None
    probability: float
    logit: float
    median: float
    threshold: float | None
    share: float
    strongest_s: float
    strongest: float
    duration_s: float
    width: int
    height: int
    steadiness: Steadiness
    frames: tuple[FrameAnswer, ...]
    faceless: int = 0
    probabilities: dict[str, float] | None = None
    cautions: tuple[str, ...] = ()
