from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artifact_fixture import write_photos
from deploy_fixture import CALIBRATION, SIZE, THRESHOLD, build_deployed, images, tiny_detector
from PIL import Image

from deploy import export, sensitivity
from deploy.quantizers import QUANTIZERS
from deploy.sensitivity import Sensitivity, measure_sensitivity
from deploy.sensitivity_text import lines, sensitivity_png, write_sensitivity
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec

PLANTED = 1  # the second layer


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    deployed = build_deployed(tmp_path_factory.getbasetemp())
    return write_photos(tmp_path_factory.mktemp("photos"), deployed, count=24)


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Path:
    """An artifact whose second layer has one input channel a thousand times smaller, with weights as much larger."""
    import torch

    model = tiny_detector()
    with torch.no_grad():
        model.norm.weight[:8] *= 1e-3
        model.norm.bias[:8] *= 1e-3
        model.deep.weight[:, :8] *= 1e3
    folder = tmp_path_factory.mktemp("planted") / "fp32"
    spec = PreprocessSpec(size=SIZE, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    return export(model, spec, out=folder, calibration=CALIBRATION, threshold=THRESHOLD, name="planted")


@pytest.fixture(scope="session")
def measured(planted: Path, photos: Path) -> Sensitivity:
    return measure_sensitivity(planted, calibration=photos, quantizer="nncf", samples=12)


def test_the_planted_layer_is_the_worst(measured: Sensitivity) -> None:
    assert [item.layer.position for item in measured.layers] == [0, 1, 2]
    assert measured.worst == PLANTED
    errors = [item.error.mean for item in measured.layers]
    assert errors[PLANTED] > 3 * max(errors[0], errors[2])


def test_leaving_it_out_buys_what_it_cost(measured: Sensitivity) -> None:
    assert measured.without_worst.mean < 0.5 * measured.whole.mean
    assert measured.without_worst.drift < measured.whole.drift
    assert any(line.startswith(f"all but {PLANTED} ") for line in lines(measured))


def test_what_lies_between_layers_is_told_apart(measured: Sensitivity, planted: Path, photos: Path) -> None:
    assert measured.rest.mean < 0.1 * measured.whole.mean, "NNCF then quantizes an addition alone"
    found = measure_sensitivity(planted, calibration=photos, quantizer="ort", samples=12)
    assert found.rest.mean > 0.5 * found.whole.mean, "the channels of the planted layer's input"
    assert any(line.startswith("no layer, only what lies between: mean error") for line in lines(found))
    assert [item.layer.shape for item in found.layers][:2] == [(16, 3, 3, 3), (16, 16, 3, 3)]


def test_it_is_written_as_a_record_and_a_picture(measured: Sensitivity, tmp_path) -> None:
    write_sensitivity(measured, tmp_path)
    assert Sensitivity.read(tmp_path / "sensitivity.json") == measured
    with Image.open(tmp_path / "sensitivity.png") as picture:
        colours = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3)}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colours, "the worst has a colour of its own"


def test_of_many_layers_the_worst_are_drawn(measured: Sensitivity) -> None:
    first = measured.layers[0]
    many = tuple(
        first.model_copy(update={"layer": first.layer.model_copy(update={"position": place})})
        for place in range(90)
    )
    assert sensitivity_png(measured.model_copy(update={"layers": many})).startswith(b"\x89PNG")


def test_labels_give_a_score(measured: Sensitivity) -> None:
    assert measured.metric == "AUC"
    assert 0 <= measured.whole.score <= 1 and 0 <= measured.fp32 <= 1


def test_photos_without_labels_do(planted: Path, tmp_path) -> None:
    for number, image in enumerate(images(6, seed=4)):
        Image.fromarray(image[0]).save(tmp_path / f"{number}.png")
    found = measure_sensitivity(planted, calibration=tmp_path, quantizer="nncf", samples=3)
    assert (found.fp32, found.whole.score) == (None, None)
    assert "AUC" not in lines(found)[0]


def test_a_tool_that_cannot_leave_layers_in_float_is_refused(
    planted: Path, photos: Path, monkeypatch
) -> None:
    blunt = replace(QUANTIZERS["nncf"], find_layers=None)
    monkeypatch.setattr(sensitivity, "find_quantizer", lambda name: blunt)
    with pytest.raises(EdgeproofError, match="quantizer nncf: cannot leave layers in float"):
        measure_sensitivity(planted, calibration=photos, quantizer="nncf")
    monkeypatch.setattr(sensitivity, "QUANTIZERS", {"nncf": blunt})
    with pytest.raises(EdgeproofError, match="no quantizer for openvino, onnxruntime can leave layers"):
        measure_sensitivity(planted, calibration=photos)
