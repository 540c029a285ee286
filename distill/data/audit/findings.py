"""What a check of the data found, and the columns that the checks share. Torch-free."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill.data.samples import UNLABELLED, Dataset

Rows = npt.NDArray[np.intp]
MOST_EXAMPLES = 10


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        value: compared with a limit by the audit.
        note: what it means, for people.
        examples: pairs of paths that show it, at most :data:`MOST_EXAMPLES`.
        shown: False where chance alone may have given the value: the check then does not fail.
        checked: False where nothing could be asked, for the reason in ``note``: neither passed nor failed.
    """

    value: float
    note: str
    examples: tuple[tuple[str, str], ...] = ()
    shown: bool = True
    checked: bool = True


def not_checked(reason: str) -> Finding:
    """The outcome of a check that could not be made."""
    return Finding(0.0, reason, checked=False)


@dataclass(frozen=True, eq=False)
class Facts:
    """What the samples say, as columns; row i belongs to ``dataset.samples[i]``.

    Attributes:
        labels: int16, 1 = generated, 0 = real (or the numbers of K classes), -1 = unlabelled.
        splits: int32, number of the split in ``split_names``.
        groups: int32, number of the group; a sample without one is its own.
        split_names: the splits there are.
    """

    labels: npt.NDArray[np.int16]
    splits: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    split_names: tuple[str, ...]

    @property
    def judged(self) -> npt.NDArray[np.bool_]:
        """All but the control, whose identity generator may repeat its camera."""
        return ~self.within("control")

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Judged, and of a known class."""
        known: npt.NDArray[np.bool_] = self.judged & (self.labels != UNLABELLED)
        return known

    def within(self, *names: str) -> npt.NDArray[np.bool_]:
        """Which rows stand in one of the splits."""
        wanted = [number for number, name in enumerate(self.split_names) if name in names]
        inside: npt.NDArray[np.bool_] = np.isin(self.splits, wanted)
        return inside


def facts_of(dataset: Dataset) -> Facts:
    """The columns of a data set."""
    samples = dataset.samples
    splits, split_names = _numbered(sample.split for sample in samples)
    groups, _ = _numbered(sample.group or sample.path for sample in samples)
    labels = np.fromiter((sample.label for sample in samples), dtype=np.int16, count=len(samples))
    return Facts(labels=labels, splits=splits, groups=groups, split_names=split_names)


def _numbered(names: Iterable[str]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    numbers: dict[str, int] = {}
    codes = np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), dtype=np.int32)
    return codes, tuple(numbers)
