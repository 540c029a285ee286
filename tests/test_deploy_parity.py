import numpy as np
import pytest

from deploy.parity import compare
from distill.errors import EdgeproofError


def test_difference_and_flips_by_hand() -> None:
    report = compare([0.1, 0.499, 0.9], [0.1005, 0.5, 0.9], threshold=0.5, limit=1e-3)
    assert report.max_abs_probability == pytest.approx(0.001, abs=1e-12)
    assert (report.flips, report.n) == (1, 3)


@pytest.mark.parametrize(
    ("difference", "limit", "passed"), [(9e-4, 1e-3, True), (2e-3, 1e-3, False), (0.3, None, True)]
)
def test_limit(difference: float, limit: float | None, passed: bool) -> None:
    assert compare([0.2], [0.2 + difference], threshold=0.9, limit=limit).passed is passed


def test_classes_flip_where_the_likeliest_changes() -> None:
    a = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]
    report = compare(a, [[0.4, 0.41, 0.19], [0.2, 0.1, 0.7]], threshold=0.5, limit=None)
    assert (report.flips, report.n) == (1, 2)
    assert report.max_abs_probability == pytest.approx(0.11)


@pytest.mark.parametrize("limit", [None, 1.0])
def test_nan_never_passes(limit: float | None) -> None:
    report = compare([0.2, np.nan], [0.2, 0.3], threshold=0.5, limit=limit)
    assert not report.passed
    assert report.max_abs_probability is None


@pytest.mark.parametrize(("a", "b"), [([0.1], [0.1, 0.2]), ([], []), (0.1, 0.1)])
def test_shapes_must_agree(a, b) -> None:
    with pytest.raises(EdgeproofError, match=r"parity: found shapes"):
        compare(a, b, threshold=0.5)
