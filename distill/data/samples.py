"""One labelled image of a data set, whatever layout it came from."""

from dataclasses import dataclass, field
from pathlib import Path

Box = tuple[float, float, float, float]
REAL, GENERATED = 0, 1


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and what is known of it.

    Attributes:
        path: relative to the data set's root, with forward slashes.
        label: 1 = generated, 0 = real; never any other polarity.
        split: ``train``, ``valid``, ``test``, ``heldout`` (families never trained on), ``control``
            (identity generator) or "" when the layout has none.
        generator: name of the generator, "" for a real image.
        group: what must not straddle a split (scene, identity, source video).
        box: face as x1, y1, x2, y2, each relative to width or height (0..1); ``None`` if unknown.
        mask: relative path of the picture of what was altered, ``None`` if unknown.
    """

    path: str
    label: int
    split: str = ""
    generator: str = ""
    group: str = ""
    box: Box | None = None
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Samples under one root, with the files that were left out."""

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = field(default=())

    def split(self, *names: str) -> tuple[Sample, ...]:
        """The samples of the named splits, in order."""
        return tuple(sample for sample in self.samples if sample.split in names)
