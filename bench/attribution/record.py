"""Who made an image, as far as it can be told: ``attribution.json``. Torch-free."""

from distill.record import Frozen, Record

ATTRIBUTION = "attribution.json"
UNKNOWN = "unknown"
Interval = tuple[float, float]


class Attributed(Frozen):
    """What one way to tell says of test images, and of images whose generator it never learned.

    Attributes:
        model: a network of the run, or the nearest fingerprint.
        accuracy: share of test images whose likeliest class is right, nothing called unknown.
        threshold: what the likeliest class must reach, else the image is unknown: frozen on validation images.
        kept: share of test images that are not called unknown.
        right: share of test images that are kept and right.
        refused: share of the unlearned generators' images that are called unknown.
        unknown_auc: how well the score of the likeliest class tells test images from those.
        matrix: counts, a row for each of the record's ``rows``, a column for each class and then unknown.
    """

    model: str
    accuracy: float
    accuracy_ci: Interval | None
    threshold: float
    kept: float
    right: float
    right_ci: Interval | None
    refused: float | None
    refused_ci: Interval | None
    unknown_auc: float | None
    unknown_auc_ci: Interval | None
    matrix: tuple[tuple[int, ...], ...]


class AttributionRecord(Record):
    """``classes`` are what was learned, ``rows`` what images really are: the classes, then the unlearned generators."""

    recipe: str
    simulated: bool
    classes: tuple[str, ...]
    rows: tuple[str, ...]
    images: int
    groups: int
    unlearned: int
    keeps: float
    models: tuple[Attributed, ...]

    @property
    def chance(self) -> float:
        """Accuracy of naming the commonest class always."""
        counts = [sum(row) for row in self.models[0].matrix[: len(self.classes)]]
        return max(counts) / sum(counts)
