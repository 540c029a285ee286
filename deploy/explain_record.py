"""What was explained: ``explain.json``. Torch-free."""

from distill.record import Frozen, Record

RECORD = "explain.json"


class Explained(Frozen):
    """One image: its answer, the picture that shows the map, and where the map is strongest (x, y in the model's pixels)."""

    image: str
    answer: str
    probability: float | None
    peak: tuple[int, int]
    strongest: float
    picture: str = ""


class Scores(Frozen):
    """Maps of simulated images against the masks of what was altered, over ``groups`` scenes, with 95 % intervals.

    ``chance`` is the mean share of the picture that masks cover: what a random peak would hit.
    """

    images: int
    groups: int
    pointing: float
    pointing_ci: tuple[float, float] | None
    energy: float
    energy_ci: tuple[float, float] | None
    chance: float

    @property
    def beats_chance(self) -> bool | None:
        """Whether the pointing game's whole interval lies above chance; None without one."""
        return None if self.pointing_ci is None else self.pointing_ci[0] > self.chance


class ExplainRecord(Record):
    """All images that were named, and the scores where a simulated set was."""

    artifact: str
    runtime: str
    precision: str
    method: str
    images: tuple[Explained, ...] = ()
    scores: Scores | None = None
    cautions: tuple[str, ...] = ()
