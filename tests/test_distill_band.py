"""The band of "not sure": golden values, its promise on new images, and what it means in an artifact."""

from pathlib import Path

import numpy as np
import pytest
from deploy_fixture import CALIBRATION, SPEC, THRESHOLD, Deployed, build_deployed
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_edit import fields, write_fields

from deploy.artifact import read_manifest, write_artifact
from deploy.interface import rewrite
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.evaluation.band import Band, answered, fit_band
from distill.task import BINARY, MultiClass


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


# reals at .00, .01 ... .39 and one at .90; fakes at .60, .61 ... .98 and one at .10
REALS = np.append(np.arange(39) / 100, 0.9)
FAKES = np.append(0.6 + np.arange(39) / 100, 0.1)
LABELS = np.repeat([0, 1], [40, 40])
SCORES = np.concatenate([REALS, FAKES])


def test_golden_edges() -> None:
    """Of 40 images two may err at 5 % (floor(41 * 0.05)): each edge lies just outside its class's second worst."""
    loose = fit_band(LABELS, SCORES, threshold=0.5)
    assert (loose.low, loose.high) == (0.5, 0.5), "both limits hold at the threshold: always sure"
    strict = fit_band(
        LABELS, SCORES, threshold=0.5, max_error=0.03
    )  # floor(41 * 0.03) = 1: the worst is on the edge
    assert strict.low == pytest.approx((0.10 + 0.09) / 2)
    assert strict.high == pytest.approx((0.90 + 0.91) / 2)
    never = fit_band(LABELS, SCORES, threshold=0.5, max_error=0.02)
    assert (never.low, never.high) == (0.0, 1.0), "40 images cannot show 2 %"


def test_golden_shares() -> None:
    found = answered(LABELS, SCORES, band=Band(low=0.2, high=0.95))
    assert (
        found.share == (20 + 1 + 4) / 80
    )  # 20 reals and the fake at .10 below, four fakes at .95 to .98 above
    assert found.false_positive_rate == 0
    assert found.miss_rate == 1 / 40
    assert found.accuracy == 24 / 25
    nothing = answered([], [], band=Band(low=0.2, high=0.8))
    assert (nothing.share, nothing.accuracy, nothing.miss_rate) == (None, None, None)
    unsure = answered([0, 1], [0.5, 0.5], band=Band(low=0.2, high=0.8))
    assert (unsure.share, unsure.accuracy, unsure.miss_rate) == (0, None, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 0.95), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_band_holds_its_limits_and_the_verdict(seed: int, threshold: float, max_error: float) -> None:
    random = np.random.default_rng(seed)
    labels = np.append([0, 1], random.integers(0, 2, 300))
    scores = 1 / (1 + np.exp(-random.normal(3 * labels - 1.5, 2).round(1)))  # with ties
    band = fit_band(labels, scores, threshold=threshold, max_error=max_error)
    assert 0 <= band.low <= threshold <= band.high <= 1
    found = answered(labels, scores, band=band)
    assert found.miss_rate <= max_error and found.false_positive_rate <= max_error
    again = fit_band(1 - labels, 1 - scores, threshold=1 - threshold, max_error=max_error)
    np.testing.assert_allclose([again.low, again.high], [1 - band.high, 1 - band.low], atol=1e-12)


def test_new_images_of_the_same_kind_err_no_more_on_average() -> None:
    """The promise is about new images: averaged over validation sets of 60, their error stays below 5 %."""
    misses, alarms = [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels = np.repeat([0, 1], 1000)
        scores = 1 / (1 + np.exp(-random.normal(2 * labels - 1, 1)))
        seen = np.r_[0:60, 1000:1060]
        band = fit_band(labels[seen], scores[seen], threshold=0.5)
        found = answered(np.delete(labels, seen), np.delete(scores, seen), band=band)
        misses.append(found.miss_rate)
        alarms.append(found.false_positive_rate)
    assert 0.03 < np.mean(misses) < 0.05 and 0.03 < np.mean(alarms) < 0.05


def test_bad_input_is_named() -> None:
    with pytest.raises(EdgeproofError, match="fitting a band: no generated sample among 2"):
        fit_band([0, 0], [0.1, 0.2], threshold=0.5)
    with pytest.raises(EdgeproofError, match="max_error is 1, expected more than 0 and less than 1"):
        fit_band([0, 1], [0.1, 0.2], threshold=0.5, max_error=1)
    with pytest.raises(ValueError, match=r"low is 0\.6, expected at most high, 0\.4"):
        Band(low=0.6, high=0.4)


def test_tasks_fit_a_band_where_they_have_a_threshold() -> None:
    families = np.where(LABELS == 1, 2, 0)  # any label but 0 is generated
    assert BINARY.band(families, SCORES, threshold=0.5) == fit_band(LABELS, SCORES, threshold=0.5)
    assert MultiClass(("a", "b", "c")).band([0, 1], [[1, 0, 0], [0, 1, 0]], threshold=None) is None


def test_a_detector_is_not_sure_inside_the_band(deployed: Deployed, tmp_path: Path) -> None:
    ranked = np.sort(deployed.probabilities)
    below, above = (ranked[4] + ranked[5]) / 2, (ranked[18] + ranked[19]) / 2
    band = Band(low=min(below, THRESHOLD), high=max(above, THRESHOLD))
    rewrite(deployed.folder / "fp32", tmp_path / "banded", threshold=THRESHOLD, band=band)
    detector = Detector.load(tmp_path / "banded", runtime="onnxruntime", threads=1)
    assert detector.manifest.band == band
    found = [one.answer for one in detector.predict(deployed.pixels)]
    bins = np.searchsorted([band.low, band.high], deployed.probabilities, side="right")
    assert found == [("real", "not sure", "generated")[number] for number in bins]
    assert {"not sure", "generated"} <= set(found)
    plain = Detector.load(deployed.folder / "fp32", runtime="onnxruntime", threads=1)
    assert plain.predict(deployed.pixels[0]).answer is None


def test_a_manifest_checks_its_band_and_older_ones_have_none(deployed: Deployed, tmp_path: Path) -> None:
    def write(**changes: object) -> None:
        write_artifact(
            tmp_path / "a", name="tiny", files={"model.onnx": deployed.folder / "fp32.onnx"}, preprocess=SPEC,
            calibration=CALIBRATION, precision="fp32", **{"threshold": 0.5, **changes},
        )  # fmt: skip

    with pytest.raises(EdgeproofError, match=r"band is 0\.6 to 0\.7, expected one around the threshold"):
        write(band=Band(low=0.6, high=0.7))
    write(band=Band(low=0.3, high=0.7))
    raw = fields(tmp_path / "a")
    assert raw["band"] == {"low": 0.3, "high": 0.7, "max_error": 0.05}
    for version in (1, 2):
        del raw["band"]
        write_fields(tmp_path / "a", {**raw, "schema_version": version})
        assert read_manifest(tmp_path / "a").band is None
        raw["band"] = None
