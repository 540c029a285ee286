"""What a simulated set consists of. Torch-free and light: recipes import it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from distill.data.samples import UNLABELLED_SPLIT
from distill.errors import EdgeproofError

FAMILIES = ("transposed", "nearest", "bilinear", "vae8", "diffusion", "blend")
SPLITS = ("train", "valid", "test", "heldout", "control", UNLABELLED_SPLIT)
CONTROL = "identity"

Count = Annotated[int, Field(ge=0, le=10_000_000)]


class SceneCounts(BaseModel):
    """Scenes, that is pairs of one real and one generated image, in each split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: Count = 1500
    valid: Count = 300
    test: Count = 500
    heldout: Count = 300
    control: Count = 300
    unlabelled: Count = 0


class SimulationSettings(BaseModel):
    """Settings of :func:`distill.data.simulate.writer.simulate`; the same settings give the same bytes.

    Attributes:
        size: width and height of every image in pixels.
        scenes: scenes per split; ``train``, ``valid``, ``test`` and ``unlabelled`` draw on ``families``, ``heldout``
            on ``held_out``, and ``control`` on the identity generator. What is ``unlabelled`` is shown without its
            label, to students that learn from a teacher.
        families: generator families that are trained on.
        held_out: families that only the ``heldout`` split contains.
        instances: generators per family, each with its own levels, kernel, activation and normalization.
        fake_share: share of generated images in every split but ``control``, which stays balanced.
        strength: how much of a generator's output is kept (1 = all; towards 0 it fades into the photo).
        seed: of everything that is drawn.
        storage: ``files``, or WebDataset ``shards`` of ``shard_scenes`` scenes each (masks stay files).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=64, ge=32, le=1024)
    scenes: SceneCounts = SceneCounts()
    families: tuple[str, ...] = Field(default=("transposed", "nearest", "vae8", "blend"), min_length=1)
    held_out: tuple[str, ...] = ("bilinear", "diffusion")
    instances: int = Field(default=3, ge=1, le=16)
    fake_share: float = Field(default=0.5, gt=0.0, lt=1.0)
    strength: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = Field(default=0, ge=0)
    storage: Literal["files", "shards"] = "files"
    shard_scenes: int = Field(default=250, ge=1, le=100_000)

    @model_validator(mode="after")
    def _families_are_known_and_apart(self) -> "SimulationSettings":
        given = (*self.families, *self.held_out)
        for name in given:
            if name not in FAMILIES:
                raise ValueError(
                    f"known generator families, not {name!r}; choose among: {', '.join(sorted(FAMILIES))}"
                )
        for name in given:
            if given.count(name) > 1:
                raise ValueError(
                    f"each generator family once in families and held_out together, not {name!r} twice"
                )
        if self.scenes.heldout and not self.held_out:
            raise ValueError(
                f"a generator family in held_out for its {self.scenes.heldout} scenes (scenes.heldout)"
            )
        return self


def check_supported(settings: SimulationSettings) -> None:
    """Raise :class:`EdgeproofError` where the settings ask for no image at all."""
    if not any(settings.scenes.model_dump().values()):
        raise EdgeproofError("simulated set: scenes are 0 in every split, expected at least one scene")
