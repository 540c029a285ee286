"""``manifest.json`` of a simulated set: written last, read by the layout. Torch-free."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from distill.data.samples import GENERATED, REAL, UNLABELLED, UNLABELLED_SPLIT, Box, Dataset, Sample
from distill.data.simulate.plan import ScenePlan
from distill.data.simulate.settings import SimulationSettings

SCHEMA_VERSION = 1
"""Raised whenever the same settings would give other bytes or another manifest."""

MANIFEST, SETTINGS, PARTS = "manifest.json", "settings.json", ".parts"


class Record(BaseModel):
    """One image and how it came about.

    Attributes:
        path: relative to the set's root, with forward slashes.
        generator: family, "" for a real image; ``instance`` says which of the family's generators.
        bytes: size of the file, equal within a pair.
        landmarks: left eye, right eye, nose, left and right corner of the mouth, relative.
        mask: relative path of what was altered; ``None`` on a generated image means all of it, except for the
            control's ``identity``, which altered nothing.
        span: offset and length inside the shard that ``path`` names; ``None`` for a file of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    label: Annotated[int, Field(ge=0, le=1)]
    split: str
    group: str
    generator: str
    instance: int | None
    camera: str
    quality: int
    subsampling: int
    shot_noise: float
    read_noise: float
    bytes: int
    sha256: str
    box: Box | None
    landmarks: tuple[tuple[float, float], ...] | None
    mask: str | None
    span: tuple[int, int] | None = None

    def to_sample(self) -> Sample:
        """What the pipeline needs of it."""
        known = self.split != UNLABELLED_SPLIT
        return Sample(
            path=self.path, label=self.label if known else UNLABELLED, split=self.split,
            generator=self.generator if known else "", group=self.group, box=self.box if known else None,
            mask=self.mask if known else None, span=self.span, truth=UNLABELLED if known else self.label,
        )  # fmt: skip


class Header(BaseModel):
    """What a folder was made from; a resumed run must match it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    simulated: Literal[True] = True
    settings: SimulationSettings


class Part(Header):
    """What one job of an unfinished set rendered, below the folder :data:`PARTS`."""

    samples: tuple[Record, ...]


class Manifest(Header):
    """The finished set."""

    labels: tuple[str, str] = ("real", "generated")
    samples: tuple[Record, ...]

    def to_dataset(self, root: Path) -> Dataset:
        """The set as the pipeline sees it."""
        return Dataset(
            root=root, layout="simulated", samples=tuple(record.to_sample() for record in self.samples)
        )


def image_path(settings: SimulationSettings, plan: ScenePlan, label: int) -> str:
    """Relative path of an image: a class-folder layout inside each split, or a member of a shard."""
    name = {REAL: "real", GENERATED: "fake"}[label]
    if settings.storage == "files":
        return f"{plan.split}/{name}/{plan.name}.jpg"
    return f"{shard_path(settings, plan)}/{plan.name}-{name}.jpg"


def shard_path(settings: SimulationSettings, plan: ScenePlan) -> str:
    """Relative path of the shard that holds a scene."""
    return f"{plan.split}-{plan.index // settings.shard_scenes:06d}.tar"


def mask_path(name: str) -> str:
    """Relative path of a mask."""
    return f"masks/{name}.png"
