"""What was explained: ``explain.json``. Torch-free."""

from distill.record import Frozen, Record

RECORD = "explain.json"
Interval = tuple[float, float]


class Looked(Frozen):
    """One model's answer for an image, and its map by one method.

    ``peak`` is where the map is strongest (x, y), ``box`` the localiser's face (x1, y1, x2, y2), both in pixels of the
    model's input.
    """

    model: str
    form: str
    method: str
    answer: str
    probability: float
    peak: tuple[int, int]
    strongest: float
    box: tuple[float, float, float, float] | None = None
    box_confidence: float | None = None


class Explained(Frozen):
    """One image: every map of it, and the picture that shows them all."""

    image: str
    maps: tuple[Looked, ...]
    picture: str = ""


class Scores(Frozen):
    """Maps of simulated images against the masks of what was altered, over ``groups`` scenes, with 95 % intervals.

    ``chance`` is the mean share of the picture that masks cover: what a random peak would hit, and how much of its energy a
    flat map has inside; ``pointing_over_ci`` and ``energy_over_ci`` are intervals of what is above it, image by image. Of
    several models, ``agreement`` is the mean correlation with the reference's maps by the same method; the reference
    itself has none.
    """

    model: str
    form: str
    method: str
    images: int
    groups: int
    pointing: float
    pointing_ci: Interval | None
    energy: float
    energy_ci: Interval | None
    chance: float
    pointing_over_ci: Interval | None
    energy_over_ci: Interval | None
    agreement: float | None = None
    agreement_ci: Interval | None = None

    @property
    def beats_chance(self) -> bool | None:
        """Whether the pointing game is shown to be above chance; None without an interval."""
        return None if self.pointing_over_ci is None else self.pointing_over_ci[0] > 0

    @property
    def concentrates(self) -> bool | None:
        """Whether more energy is shown to lie inside than a flat map's; None without an interval."""
        return None if self.energy_over_ci is None else self.energy_over_ci[0] > 0


class Change(Frozen):
    """What a step from one model to another did to its maps of the same images: ``after`` minus ``before``, paired.

    ``pointing`` and ``energy`` are mean differences over images, with 95 % intervals over ``groups`` scenes.
    """

    before: str
    after: str
    method: str
    images: int
    groups: int
    pointing: float
    pointing_ci: Interval | None
    energy: float
    energy_ci: Interval | None


class ExplainRecord(Record):
    """All images that were named, and where masks were the scores; ``models`` in the order of every table."""

    models: tuple[str, ...]
    reference: str
    images: tuple[Explained, ...] = ()
    scores: tuple[Scores, ...] = ()
    changes: tuple[Change, ...] = ()
    cautions: tuple[str, ...] = ()
