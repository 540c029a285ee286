"""What was chosen for a model before any test image was seen: ``choice.json``. Torch-free."""

from pathlib import Path

from distill.evaluation.band import Band
from distill.evaluation.calibration import Calibration
from distill.record import Record
from distill.roster import Model


class Choice(Record):
    """The seed with the best validation score, its calibration and one threshold and band (None for K classes).

    ``weights`` is their SHA-256.
    """

    seed: int
    calibration: Calibration
    threshold: float | None
    weights: str
    band: Band | None = None


def choice_of(run: Path, model: Model) -> Choice:
    """What was frozen for a model of the run folder ``run``; raises :class:`EdgeproofError` if it is not there."""
    return Choice.read(run / model.choice)
