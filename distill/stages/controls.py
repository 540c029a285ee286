"""What a student sees in its arm ``pool``: the unlabelled images with their true labels, where those are known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from distill.data.samples import UNLABELLED, UNLABELLED_SPLIT, Sample
from distill.errors import EdgeproofError
from distill.pipeline.runfolder import load_samples
from distill.pipeline.stage import Progress, Run
from distill.preprocess import PreprocessSpec
from distill.stages.training import taught_pixels

_POOL = "distillation.controls: pool trains the unlabelled images with their true labels"


def check_pool(run: Run, progress: Progress) -> None:
    """Refuse the arm before anything trains.

    Raises:
        EdgeproofError: there are no unlabelled images, or the true label of some is not known.
    """
    require_truth(load_samples(run.folder).split(UNLABELLED_SPLIT))


def require_truth(unlabelled: Sequence[Sample]) -> None:
    """Raise :class:`EdgeproofError` unless there are unlabelled images and the true label of each is known."""
    if not unlabelled:
        raise EdgeproofError(f"{_POOL}, found no unlabelled images; expected some, or no pool")
    unknown = sum(sample.truth == UNLABELLED for sample in unlabelled)
    if unknown:
        raise EdgeproofError(
            f"{_POOL}, found {unknown} of {len(unlabelled)} whose true label is not known; expected all, or no pool"
        )


def pool_pixels(run: Run, *, spec: PreprocessSpec) -> Any:
    """The training images and the unlabelled ones, every one with its true label; raises as :func:`check_pool`."""
    pixels = taught_pixels(run, spec=spec)
    require_truth([sample for sample in pixels.samples if sample.split == UNLABELLED_SPLIT])
    told = tuple(
        replace(sample, label=sample.truth) if sample.label == UNLABELLED else sample
        for sample in pixels.samples
    )
    return replace(pixels, samples=told)
