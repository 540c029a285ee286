"""A black box's answers: a table of probabilities by image, as any program writes it. Torch-free."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill.data.layouts.table import SUFFIXES, place, read_rows
from distill.data.layouts.walk import one_line
from distill.data.samples import Dataset, Sample
from distill.errors import EdgeproofError
from distill.evaluation.statistics import bootstrap_ci

Scores = npt.NDArray[np.float64]
PROBABILITY, PATHS = "probability", ("path", "image")
_TINY = 1e-6  # probabilities of 0 and 1 must stay finite logits
_SAME = 1e-9


@dataclass(frozen=True)
class Predictions:
    """A table that was read.

    Attributes:
        path: of it.
        probabilities: image as the table names it → its probability of *generated*.
    """

    path: Path
    probabilities: dict[str, float]

    def of(self, samples: Sequence[Sample], *, root: Path) -> Scores:
        """The probability of each sample ``[N]``, NaN where the table has none.

        An image may be named by its path below the data set's folder, by that with the folder's own name before it, below
        the table's folder, below the working directory, or absolutely.
        """
        bases = [root.resolve(), root.resolve().parent, self.path.resolve().parent, Path.cwd()]
        known = {
            os.path.normpath(base / name): value
            for base in reversed(bases)  # the first has the last word
            for name, value in self.probabilities.items()
        }
        return np.array(
            [known.get(os.path.normpath(root.resolve() / sample.path), np.nan) for sample in samples]
        )


def read_predictions(path: Path) -> Predictions:
    """Read a CSV or Parquet file with a column ``path`` or ``image`` and a column ``probability``.

    Raises:
        EdgeproofError: no such file or column, a value outside 0..1, or two values for one image.
    """
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        found = f"no table by its name ({path.suffix or 'no suffix'})" if path.is_file() else "no such file"
        raise EdgeproofError(f"{one_line(path)}: {found}, expected {', '.join(sorted(SUFFIXES))}")
    probabilities: dict[str, float] = {}
    for number, (value, *names) in read_rows(path, required=[PROBABILITY], optional=PATHS):
        name = next(filter(None, names), "")
        if not name:
            raise EdgeproofError(
                f"{place(path, number)}: names no image, expected one in the column {' or '.join(PATHS)}"
            )
        probability = _probability(value, where=place(path, number))
        if abs(probabilities.setdefault(name, probability) - probability) > _SAME:
            raise EdgeproofError(
                f"{place(path, number)}: {one_line(name)} has the probability {probability:g}, and "
                f"{probabilities[name]:g} above; expected one"
            )
    return Predictions(path, probabilities)


def answers_of(
    predictions: Predictions,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    key: str,
    missing_share: float = 0.0,
) -> Scores:
    """The logits of ``samples`` ``[N]``, once the table is seen to be complete and the right way round.

    Args:
        predictions: of :func:`read_predictions`.
        dataset: whose images they are.
        samples: all that the black box is asked about.
        key: of the recipe, for messages.
        missing_share: of images without a probability, whose logits are NaN, that is let pass.

    Raises:
        EdgeproofError: more are missing, or on the labelled ones it is worse than guessing, and that is no chance.
    """
    found = predictions.of(samples, root=dataset.root)
    missing = np.flatnonzero(np.isnan(found))
    if len(missing) > missing_share * len(samples):
        example = next(iter(predictions.probabilities), "none")
        raise EdgeproofError(
            f"{key}: {one_line(predictions.path)}: {len(missing)} of {len(samples)} images have no probability, the first "
            f"{one_line(samples[missing[0]].path)}; the table's first is {one_line(example)}"
        )
    check_way_round(found, samples, key=f"{key}: {one_line(predictions.path)}")
    clipped = found.clip(_TINY, 1 - _TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def check_way_round(probabilities: Scores, samples: Sequence[Sample], *, key: str) -> None:
    """Raise :class:`EdgeproofError` where probabilities ``[N]`` are those of *real*."""
    rows = [
        row
        for row, s in enumerate(samples)
        if s.label >= 0 and s.split in ("", "train") and probabilities[row] >= 0
    ]
    labels = np.array([samples[row].label for row in rows]) > 0
    groups = [samples[row].group or samples[row].path for row in rows]
    interval = bootstrap_ci(labels, probabilities[rows], groups, n=300) if rows else None
    if interval is not None and interval[1] < 0.5:
        raise EdgeproofError(
            f"{key}: AUC {interval[0]:.3f} to {interval[1]:.3f} on {len(rows)} labelled training images, worse than guessing; "
            "expected the probability that an image is generated, this looks like that of real"
        )


def _probability(text: str, *, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value <= 1:
        raise EdgeproofError(f"{where}: {PROBABILITY} is {text!r}, expected a number from 0 to 1")
    return value
