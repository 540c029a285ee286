"""Partitions on this machine: processes that hold a detector each. Torch-free."""

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path

from deploy.runtime import Detector
from deploy.score.partition import score_partition
from deploy.score.plan import ScorePlan
from distill.data.samples import Sample
from distill.pool import process_pool

Counts = tuple[int, int]
_detector: Detector | None = None  # of a worker process


def score_here(
    artifact: Path,
    root: Path,
    samples: Sequence[Sample],
    plan: ScorePlan,
    numbers: Sequence[int],
    *,
    out: Path,
    workers: int,
) -> Iterator[Counts]:
    """Score the partitions with these ``numbers``; images with an answer and bad ones of each, as they are done."""
    if workers == 1:
        detector = Detector.load(artifact, runtime=plan.runtime, threads=1)
        for number in numbers:
            yield score_partition(detector, root, plan.part(samples, number), number=number, out=out)
        return
    with process_pool(workers, initializer=_load, initargs=(artifact, plan.runtime)) as pool:
        work = [pool.submit(_score, root, plan.part(samples, number), number, out) for number in numbers]
        for done in as_completed(work):
            yield done.result()


def _load(artifact: Path, runtime: str) -> None:
    global _detector
    _detector = Detector.load(artifact, runtime=runtime, threads=1)


def _score(root: Path, samples: Sequence[Sample], number: int, out: Path) -> Counts:
    if _detector is None:
        raise RuntimeError("a worker scores after it loaded its detector")
    return score_partition(_detector, root, samples, number=number, out=out)
