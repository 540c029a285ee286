"""The images that an artifact is calibrated with and judged on, from whatever folder a user names. Torch-free."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill.data.layouts import NoLayoutError, load_dataset
from distill.data.pixels import decode
from distill.data.samples import UNLABELLED, Dataset, Sample
from distill.data.stratify import stratified
from distill.data.unlabelled import load_unlabelled
from distill.errors import EdgeproofError
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import Task

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Photos:
    """Images as a model takes them.

    Attributes:
        root: what their paths are relative to.
        samples: one each.
        pixels: uint8 RGB ``[N, S, S, 3]``.
        skipped: files that could not be decoded, a line each.
        origin: which images these are, in words.
    """

    root: Path
    samples: tuple[Sample, ...]
    pixels: Pixels
    skipped: tuple[str, ...]
    origin: str

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """Numbers of the classes ``[N]``; None where an image has no label, or all have the same."""
        found = np.array([sample.label for sample in self.samples], dtype=np.int64)
        return None if UNLABELLED in found or len(np.unique(found)) < 2 else found

    @property
    def paths(self) -> list[Path]:
        """Where each image lies; of one in a tar, the tar's path goes on."""
        return [self.root / sample.path for sample in self.samples]

    @property
    def names(self) -> list[str]:
        """The same below ``root``: a record must not tell where a machine keeps its files."""
        return [path.relative_to(self.root).as_posix() for path in self.paths]


def list_photos(root: Path, *, task: Task) -> Dataset:
    """The images below ``root``: with labels where it has a layout that is recognised, otherwise every photo without one.

    Raises:
        EdgeproofError: no such folder, several layouts match, or no image.
    """
    try:
        return load_dataset(root, labels=task.classes)
    except NoLayoutError as error:
        if not root.is_dir():
            raise
        try:
            return load_unlabelled(root)
        except EdgeproofError:
            raise error from None  # it tells more: which shapes are known, and what is there


def read_photos(
    dataset: Dataset,
    *,
    spec: PreprocessSpec,
    wanted: int,
    split: str,
    without: Collection[Path] = (),
    progress: Progress | None = None,
) -> Photos:
    """Some of the images, drawn at random but evenly from classes and generators; the same ones each time.

    Args:
        dataset: of :func:`list_photos`.
        spec: the artifact's; of ``tiles`` the middle one is taken.
        wanted: at most so many.
        split: is taken if the data set has it, otherwise all.
        without: paths of images to leave out.
        progress: is told how many are decoded.

    Raises:
        EdgeproofError: no image is left that can be decoded.
    """
    own = dataset.split(split)
    usable = [s for s in own or _labelled(dataset) if dataset.root / s.path not in without]
    chosen = stratified(usable, wanted=wanted, seed=0)
    kept: list[Sample] = []
    pixels: list[Pixels] = []
    skipped: list[str] = []
    for number, sample in enumerate(chosen, start=1):
        try:
            pixels.append(decode(dataset.root, sample, spec=spec))
            kept.append(sample)
        except (EdgeproofError, OSError) as error:  # one bad file must not end the work
            skipped.append(str(error))
        if progress:
            progress(number, len(chosen))
    if not kept:
        first = f", the first: {skipped[0]}" if skipped else ""
        raise EdgeproofError(f"{dataset.root}: no image can be used, {len(skipped)} failed{first}")
    origin = f"{len(kept)} images of {dataset.root.resolve().name}" + (f", split {split}" if own else "")
    return Photos(dataset.root, tuple(kept), np.stack(pixels), tuple(skipped), origin)


def _labelled(dataset: Dataset) -> Sequence[Sample]:
    """All that have a label, or all where none has."""
    return [s for s in dataset.samples if s.label != UNLABELLED] or dataset.samples
