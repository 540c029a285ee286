"""Who renders what: every scene's split, family, camera and random stream, known before anything is drawn."""

from dataclasses import dataclass

import numpy as np

from distill.data.simulate.settings import CONTROL, SPLITS, SimulationSettings

CAMERAS = {"train": 8, "valid": 4, "test": 4, "heldout": 4, "control": 4, "unlabelled": 8}
"""Cameras per split. A camera never straddles a split."""

_STREAMS = ("scene", "camera", "model", "balance")


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """One scene: a real and a generated image of it, of which one may be left unwritten."""

    split: str
    index: int
    family: str
    instance: int
    write_real: bool
    write_fake: bool

    @property
    def name(self) -> str:
        """Unique name of the scene, the group of its images."""
        return f"{self.split}-{self.index:06d}"


def random_stream(settings: SimulationSettings, stream: str, *key: int) -> np.random.Generator:
    """An independent generator for each purpose and key, whatever worker asks for it and when."""
    spawn_key = (_STREAMS.index(stream), *key)
    return np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=spawn_key))


def plan_scenes(settings: SimulationSettings) -> list[ScenePlan]:
    """All scenes in order of split and index; families take turns."""
    return [plan for split in SPLITS for plan in _plan_split(settings, split)]


def _plan_split(settings: SimulationSettings, split: str) -> list[ScenePlan]:
    count: int = getattr(settings.scenes, split)
    names = {"heldout": settings.held_out, "control": (CONTROL,)}.get(split, settings.families)
    share = 0.5 if split == "control" else settings.fake_share
    real, fake = _written(settings, split, count, len(names), share)
    return [
        ScenePlan(
            split=split,
            index=index,
            family=names[index % len(names)],
            instance=index // len(names) % settings.instances,
            write_real=index in real,
            write_fake=index in fake,
        )
        for index in range(count)
    ]


def _written(
    settings: SimulationSettings, split: str, count: int, turns: int, share: float
) -> tuple[set[int], set[int]]:
    """Indices of the scenes whose real and whose generated image are written."""
    everything = set(range(count))
    rarer = min(share, 1 - share)
    wanted = min(count, max(1, round(count * rarer / (1 - rarer))))
    # Whole rounds of families are drawn, so that the rarer class keeps its mix of families.
    rank = random_stream(settings, "balance", SPLITS.index(split)).permutation(count)
    kept = set(sorted(everything, key=lambda index: (rank[index // max(turns, 1)], index))[:wanted])
    return (everything, kept) if share <= 0.5 else (kept, everything)
