"""What is scored, and in which partitions: the same plan again goes on where it was stopped. Torch-free."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from deploy.artifact import MANIFEST_NAME
from distill.data.samples import Sample
from distill.errors import EdgeproofError
from distill.files import sha256
from distill.record import Record

PLAN = "_plan.json"  # readers of Parquet folders pass over names that begin so
_AGAIN = "name another --out, or remove it"


class ScorePlan(Record):
    """``_plan.json``.

    Attributes:
        artifact: name in the manifest.
        manifest_sha256: of the artifact's ``manifest.json``, which names the hash of every other file.
        runtime: what answers.
        images: how many there are.
        listing_sha256: of every path, label and place in a tar, in their order.
        partition: images of one.
    """

    artifact: str
    manifest_sha256: str
    runtime: str
    images: int
    listing_sha256: str
    partition: int

    @property
    def partitions(self) -> int:
        """How many there are."""
        return -(-self.images // self.partition)

    def part(self, samples: Sequence[Sample], number: int) -> Sequence[Sample]:
        """The images of one partition."""
        return samples[number * self.partition : (number + 1) * self.partition]


def make_plan(
    artifact: Path, *, name: str, runtime: str, samples: Sequence[Sample], partition: int
) -> ScorePlan:
    """The plan of so many images in this order."""
    listing = hashlib.sha256()
    for sample in samples:
        listing.update(f"{sample.path}\0{sample.label}\0{sample.span}\n".encode("utf-8", "surrogateescape"))
    return ScorePlan(
        artifact=name,
        manifest_sha256=sha256(artifact / MANIFEST_NAME),
        runtime=runtime,
        images=len(samples),
        listing_sha256=listing.hexdigest(),
        partition=partition,
    )


def settle(plan: ScorePlan, out: Path) -> None:
    """Write the plan into ``out``, or find the same one there.

    Raises:
        EdgeproofError: ``out`` holds another plan's answers, or something else.
    """
    if (out / PLAN).is_file():
        earlier = ScorePlan.read(out / PLAN)
        for field in ScorePlan.model_fields:
            found, expected = getattr(earlier, field), getattr(plan, field)
            if found != expected:
                raise EdgeproofError(f"{out}: was begun with {field} {found}, found {expected}; {_AGAIN}")
        return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise EdgeproofError(f"{out}: holds something else, expected a new or empty folder; {_AGAIN}")
    out.mkdir(parents=True, exist_ok=True)
    plan.write(out / PLAN)
