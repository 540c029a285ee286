"""What a worker does with partitions, on whatever machine it is. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deploy.artifact import MANIFEST_NAME
from deploy.runtime import Detector
from deploy.score.partition import score_partition
from deploy.score.plan import PLAN, ScorePlan
from distill.data.samples import Sample
from distill.data.storage import check_visible
from distill.errors import EdgeproofError
from distill.files import sha256

_EVERYWHERE = "expected the same folder under this path on every machine"


@dataclass(frozen=True)
class Scorer:
    """Scores one partition after the other with one detector of one thread; picklable.

    Attributes:
        artifact: its folder.
        root: of the images.
        out: where the partitions' files go.
        plan: what is scored, and by which artifact.
    """

    artifact: Path
    root: Path
    out: Path
    plan: ScorePlan

    def __call__(self, part: tuple[int, Sequence[Sample]]) -> tuple[int, int]:
        """Score a partition, given by its number and images; how many got an answer, and how many are bad.

        Raises:
            EdgeproofError: this machine does not see what the plan was made of.
            OSError: a disk that is full.
        """
        number, samples = part
        return score_partition(self._detector, self.root, samples, number=number, out=self.out)

    @cached_property
    def _detector(self) -> Detector:
        self._check_sight()
        return Detector.load(self.artifact, runtime=self.plan.runtime, threads=1)

    def _check_sight(self) -> None:
        """Refuse to call every image bad, or to write where nobody looks."""
        check_visible(self.root)
        if not (self.out / PLAN).is_file() or ScorePlan.read(self.out / PLAN) != self.plan:
            raise EdgeproofError(f"{self.out}: no {PLAN} of this plan, {_EVERYWHERE}")
        manifest = self.artifact / MANIFEST_NAME
        found = sha256(manifest) if manifest.is_file() else "none"
        if found != self.plan.manifest_sha256:
            expected = self.plan.manifest_sha256
            raise EdgeproofError(
                f"{self.artifact}: another artifact (manifest {found[:12]}, expected {expected[:12]}), {_EVERYWHERE}"
            )
