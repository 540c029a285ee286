import pytest
from pydantic import ValidationError

from distill.evaluation.calibration import Calibration


def test_the_default_changes_nothing():
    assert Calibration().model_dump() == {"temperature": 1.0, "bias": 0.0}


def test_json_round_trip():
    calibration = Calibration(temperature=1 / 3, bias=-0.1)
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"temperature": -1},
        {"bias": "x"},
        {"scale": 1},
        {"temperature": float("inf")},
        {"bias": float("nan")},
    ],
)
def test_values_that_give_no_probability(values):
    with pytest.raises(ValidationError):
        Calibration(**values)


def test_it_is_frozen():
    with pytest.raises(ValidationError):
        Calibration().temperature = 2.0
