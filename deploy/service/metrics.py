"""Counters and histograms for Prometheus; of all processes together where there are several."""

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody reads
MEDIA_TYPE = CONTENT_TYPE_LATEST
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The client's own variable: a folder where the processes leave their numbers; it must be set before this is imported."""
_STEPS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """What one service counts.

    Attributes:
        requests: by method, route and status.
        request_seconds: from the headers to the answer's end, by route.
        stage_seconds: ``preprocess``, ``predict``, ``postprocess`` of one image, by model.
        in_flight: requests with a body that are being worked on.
        answers: images by model and verdict.
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "edgeproof_requests_total", "Requests.", ("method", "route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "edgeproof_request_seconds",
            "Seconds of a request.",
            ("route",),
            buckets=_STEPS,
            registry=registry,
        )
        self.stage_seconds = {
            stage: Histogram(
                f"edgeproof_{stage}_seconds", f"Seconds to {stage} one image.", ("model",),
                buckets=_STEPS, registry=registry,
            )
            for stage in ("preprocess", "predict", "postprocess")
        }  # fmt: skip
        self.in_flight = Gauge(
            "edgeproof_in_flight", "Requests at work.", registry=registry, multiprocess_mode="livesum"
        )
        self.answers = Counter(
            "edgeproof_images_total", "Images judged.", ("model", "verdict"), registry=registry
        )

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def share_between_processes(folder: Path) -> None:
    """From now on the processes that this one starts count together, from zero."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    os.environ[SHARED] = str(folder)
