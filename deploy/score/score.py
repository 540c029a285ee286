"""Score a data set of any layout, and go on where it was stopped. Torch-free."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.runtime import Detector
from deploy.score.partition import BAD, is_scored, write_left_out
from deploy.score.plan import make_plan, settle
from deploy.score.scorer import Scorer
from distill.data.columns import ManifestColumns
from distill.data.layouts import NoLayoutError, load_dataset
from distill.data.samples import Dataset
from distill.data.unlabelled import load_unlabelled
from distill.engine import Engine, Local
from distill.errors import EdgeproofError
from distill.files import remove_leftovers
from distill.optional import require

PARTITION = 2048  # images: a second or two of work that a stop may cost, and a file that is worth opening


@dataclass(frozen=True)
class ScoreSummary:
    """What was done.

    Attributes:
        images: of the data set.
        earlier: those whose partitions an earlier call had written.
        answered: of the others, those that got an answer.
        bad: of the others, those that could not be decoded; the table in ``_bad`` says why.
        left_out: files that the layout itself left out, in the same table.
        seconds: that this call took.
    """

    images: int
    earlier: int
    answered: int
    bad: int
    left_out: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Of this call, loading included."""
        return (self.answered + self.bad) / self.seconds if self.seconds else 0.0


def score(
    artifact: Path,
    data: Path,
    *,
    out: Path,
    layout: str = "auto",
    columns: ManifestColumns | None = None,
    runtime: str | None = None,
    workers: int = 1,
    engine: Engine | None = None,
    partition: int = PARTITION,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ScoreSummary:
    """Write an artifact's answers on every image as Parquet files into ``out``, bad images into ``out/_bad``.

    Each partition's file appears at once when the whole partition is scored, so that the same call goes on after a stop,
    and neither loses nor doubles an image. Readers of Parquet take the folder for one table.

    Args:
        artifact: its folder.
        data: a data set of any layout, labelled or not; shards are read in place.
        out: a new or empty folder, or one where the same was begun.
        layout: recognised unless given.
        columns: of a manifest that names them otherwise.
        runtime: onnxruntime or openvino; what is there unless given.
        workers: processes of this machine, each with a detector of one thread.
        engine: what works in place of these processes; all its machines see the same folders under the same paths.
        partition: images of one file.
        progress: is told how many images of how many are done.

    Raises:
        EdgeproofError: no artifact, no images, or ``out`` holds something else.
    """
    require("pyarrow")
    started = time.perf_counter()
    detector = Detector.load(artifact, runtime=runtime, threads=1)
    dataset = _images(data, layout=layout, columns=columns, labels=_labels(detector))
    samples = dataset.samples
    plan = make_plan(
        artifact, name=detector.manifest.name, runtime=detector.runtime, samples=samples, partition=partition
    )
    settle(plan, out)
    write_left_out(dataset.skipped, out=out)
    missing = [number for number in range(plan.partitions) if not is_scored(out, number)]
    earlier = len(samples) - sum(len(plan.part(samples, number)) for number in missing)
    done = earlier, 0, 0
    progress(earlier, len(samples))
    scorer = Scorer(artifact.absolute(), dataset.root.absolute(), out.absolute(), plan)
    parts = ((number, plan.part(samples, number)) for number in missing)
    for good, bad in (engine or Local(min(workers, len(missing)))).map(scorer, parts):
        done = done[0] + good + bad, done[1] + good, done[2] + bad
        progress(done[0], len(samples))
    remove_leftovers(out)  # of workers that were killed
    return ScoreSummary(
        images=len(samples),
        earlier=earlier,
        answered=done[1],
        bad=done[2],
        left_out=len(dataset.skipped),
        seconds=time.perf_counter() - started,
    )


def bad_table(out: Path) -> Path:
    """The folder with the table of bad images."""
    return out / BAD


def _labels(detector: Detector) -> Sequence[str]:
    return () if detector.manifest.task == "binary" else detector.manifest.labels


def _images(data: Path, *, layout: str, columns: ManifestColumns | None, labels: Sequence[str]) -> Dataset:
    try:
        found = load_dataset(data, layout=layout, columns=columns, labels=labels)
    except NoLayoutError:
        if layout != "auto":
            raise
        found = _unlabelled(data)
    if not found.samples:
        raise EdgeproofError(f"{data}: no images, expected at least one")
    return found


def _unlabelled(data: Path) -> Dataset:
    """Any folder with images, whose truth nobody knows."""
    try:
        found = load_unlabelled(data)
    except EdgeproofError as error:
        raise EdgeproofError(str(error).removeprefix("data.unlabelled: ")) from None
    samples = (
        replace(sample, path=os.path.relpath(sample.path, found.root), group="", split="")
        for sample in found.samples
    )
    return replace(found, samples=tuple(samples))
