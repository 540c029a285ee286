"""One image through a loaded model, each step timed: what runs in a worker thread."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from deploy.bounded import NoAnswerError
from deploy.explain.answer import METHOD, explain_answer
from deploy.prediction import Prediction
from deploy.runtime import Detector
from deploy.service.catalogue import Loaded
from deploy.service.forms import Explanation, Judged
from deploy.service.metrics import Metrics
from deploy.sessions import Logits
from distill.errors import EdgeproofError
from distill.preprocess import Pixels, Policy


def judge(
    loaded: Loaded,
    image: bytes,
    *,
    name: str,
    policy: Policy | None = None,
    explained: bool = False,
    metrics: Metrics,
) -> Judged:
    """What the model says of one encoded image; one that cannot be read gets an ``error``.

    Args:
        loaded: the model.
        image: the file's bytes.
        name: what the client calls it.
        policy: how it becomes the model's input, instead of the manifest's.
        explained: whether a map is drawn too, by some 200 further questions to the model.
        metrics: where the seconds go.

    Raises:
        EdgeproofError: no such policy.
        NoAnswerError: the model was too late, or its process ended.
    """
    detector = loaded.detector
    spec = detector.preprocessing(policy)
    try:
        with _timed(metrics, "preprocess", loaded.name):
            pixels, cautions = detector.prepare(image, spec=spec, name=name)
        with _timed(metrics, "predict", loaded.name):
            logits = detector.run(pixels)
        with _timed(metrics, "postprocess", loaded.name):
            prediction = detector.conclude(logits, cautions=cautions)
            explanation = _explain(detector, pixels, logits) if explained else None
    except NoAnswerError:
        metrics.answers.labels(loaded.name, "error").inc()
        raise
    except EdgeproofError as error:
        metrics.answers.labels(loaded.name, "error").inc()
        return Judged(name=name, error=str(error).removeprefix(f"{name}: "))
    found = _told(name, prediction, detector, explanation)
    metrics.answers.labels(loaded.name, found.verdict).inc()
    return found


def _told(name: str, prediction: Prediction, detector: Detector, explanation: Explanation | None) -> Judged:
    classes = prediction.probabilities
    return Judged(
        name=name,
        verdict=prediction.answer or prediction.label,
        probability=prediction.probability,
        threshold=prediction.threshold,
        probabilities=None if classes is None else dict(zip(detector.manifest.labels, classes, strict=True)),
        cautions=tuple(caution for caution in (detector.caution, *prediction.cautions) if caution),
        explanation=explanation,
    )


def _explain(detector: Detector, pixels: Pixels, logits: Logits) -> Explanation:
    heat, picture = explain_answer(detector, pixels, logits)
    y, x = np.unravel_index(int(np.argmax(heat)), heat.shape)
    return Explanation(
        method=METHOD,
        peak=(int(x), int(y)),
        strongest=float(heat.max()),
        png=base64.b64encode(picture).decode(),
    )


@contextmanager
def _timed(metrics: Metrics, stage: str, model: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    metrics.stage_seconds[stage].labels(model).observe(time.perf_counter() - started)
