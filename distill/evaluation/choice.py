"""What was chosen for a model before any test image was seen: ``choice.json``. Torch-free."""

from distill.evaluation.calibration import Calibration
from distill.record import Record


class Choice(Record):
    """The seed with the best validation score, its calibration and one threshold; ``weights`` is their SHA-256."""

    seed: int
    calibration: Calibration
    threshold: float
    weights: str
