"""One labelled image of a data set, whatever layout it came from."""

from dataclasses import dataclass, field
from pathlib import Path

Box = tuple[float, float, float, float]
REAL, GENERATED, UNLABELLED = 0, 1, -1
UNLABELLED_SPLIT = "unlabelled"


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and what is known of it.

    Attributes:
        path: relative to the data set's root, with forward slashes; the path of an image in a tar goes on
            behind the tar's: ``shards/train-000.tar/0012.jpg``. Absolute where a manifest says so.
        label: 1 = generated, 0 = real; never any other polarity. -1 = unlabelled, for distillation only.
        split: ``train``, ``valid``, ``test``, ``heldout`` (families never trained on), ``control``
            (identity generator), ``unlabelled``, or "" when the layout has none.
        generator: name of the generator, "" for a real image.
        group: what must not straddle a split (scene, identity, source video).
        box: face as x1, y1, x2, y2, each relative to width or height (0..1); ``None`` if unknown.
        mask: relative path of the picture of what was altered, ``None`` if unknown.
        span: offset and length in bytes inside the tar that ``path`` names, ``None`` for a file of its own.
        truth: the true label of an image that is shown without one; only the control arm ``pool`` reads it.
    """

    path: str
    label: int
    split: str = ""
    generator: str = ""
    group: str = ""
    box: Box | None = None
    mask: str | None = None
    span: tuple[int, int] | None = None
    truth: int = UNLABELLED


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Samples under one root, the files that were left out, and what a reader should know (``problems``)."""

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = field(default=())
    problems: tuple[str, ...] = field(default=())

    def split(self, *names: str) -> tuple[Sample, ...]:
        """The samples of the named splits, in order."""
        return tuple(sample for sample in self.samples if sample.split in names)
