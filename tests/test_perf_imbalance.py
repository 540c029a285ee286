"""The study of rare fakes: what it weights, and what it draws."""

import numpy as np
import pytest

from distill.data.samples import Sample
from distill.evaluation.statistics import curves
from perf.imbalance import best_threshold, f1, f1_at, markdown, prevalence, subset

LABELS = np.array([True] * 4 + [False] * 12)
LOGITS = np.array([3.0, 2.0, 1.0, -2.0, 2.5, 0.5, *[-1.0] * 5, *[-3.0] * 5])


def test_the_weights_are_what_the_share_of_fakes_would_be() -> None:
    weights = prevalence(LABELS, share=0.1)
    assert weights[LABELS].sum() / weights.sum() == pytest.approx(0.1)
    assert weights.sum() == pytest.approx(len(LABELS))


def test_f1_is_that_of_a_set_with_so_many_fakes() -> None:
    weights = prevalence(LABELS, share=0.1)[None]
    # of 1,000 images 100 are fakes, of which 3 in 4 are found; 2 in 12 of the 900 reals are called fakes too
    expected = 2 * 75 / (75 + 150 + 100)
    assert f1_at(LABELS, LOGITS, weights, threshold=0.0)[0] == pytest.approx(expected)
    curve = curves(LABELS, LOGITS, weights)
    place = int(np.flatnonzero(curve.thresholds == 0.5)[0])
    assert f1(curve)[0, place] == pytest.approx(expected)


def test_the_best_threshold_rises_where_fakes_are_rare() -> None:
    even, rare = (best_threshold(LABELS, LOGITS, share=share) for share in (0.5, 0.01))
    assert even == 1.0 and rare == 3.0


def test_a_subset_has_its_share_of_fakes_and_no_image_twice() -> None:
    samples = [Sample(path=f"{n}.png", label=n % 2) for n in range(200)]
    drawn = subset(samples, share=0.05, images=80, seed=1)
    assert len({sample.path for sample in drawn}) == 80 and sum(sample.label for sample in drawn) == 4
    assert drawn != subset(samples, share=0.05, images=80, seed=2)


def test_the_table_has_a_line_for_each_row() -> None:
    cell = {"mean": 0.5, "ci": [0.4, 0.6], "seeds": [0.5]}
    row = {
        "share": 0.17,
        "fakes": 340,
        "remedy": "nothing",
        "f1_at_half": cell,
        "f1": cell,
        "ap": cell,
        "tpr_at_1fpr": cell,
    }
    assert list(markdown([row]))[2].startswith("| 17% (340) | nothing | 0.500 [0.400, 0.600] | ")
