"""Artifacts that answer more than real or generated: K classes, and generator families that are summed in the graph."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from deploy_fixture import SPEC, Deployed, build_deployed, tiny_detector
from PIL import Image

import deploy
from deploy.artifact import MODEL_FILES, write_artifact
from deploy.onnx_graph import export_onnx
from deploy.predict import answers_for, tell
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.task import BINARY, Families, MultiClass


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


CLASSES = MultiClass(labels=("cat", "dog", "bird"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of three classes."""
    folder = tmp_path_factory.mktemp("classifier")
    calibration = Calibration(temperature=2.0)
    export_onnx(
        tiny_detector(3), preprocess=SPEC, calibration=calibration, task=CLASSES, path=folder / "multi.onnx"
    )
    write_artifact(
        folder / "multi", name="tiny", files={"model.onnx": folder / "multi.onnx"}, preprocess=SPEC,
        threshold=None, calibration=calibration, precision="fp32", task=CLASSES,
    )  # fmt: skip
    return folder / "multi"


def test_of_several_classes_the_likeliest_is_the_verdict(deployed: Deployed, classifier: Path) -> None:
    detector = Detector.load(classifier, threads=1)
    logits = detector.run(deployed.pixels)
    assert logits.shape == (24, 3)
    exponents = np.exp(logits.astype(np.float64))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(detector.probabilities(logits), expected)
    for prediction, row in zip(detector.predict(deployed.pixels), expected, strict=True):
        assert prediction.probabilities == pytest.approx(row)
        assert prediction.label == CLASSES.labels[row.argmax()]
        assert prediction.probability == pytest.approx(row.max())
        assert sigmoid(prediction.logit) == pytest.approx(prediction.probability)
        assert prediction.threshold is None and prediction.generated is None
    with pytest.raises(
        EdgeproofError, match="the classes cat, dog, bird do not tell whether an image is gen"
    ):
        detector.generated(logits)


def test_several_classes_on_the_command_line(deployed: Deployed, classifier: Path, tmp_path, capsys) -> None:
    photo, lost = tmp_path / "a.png", tmp_path / "lost.png"
    Image.fromarray(deployed.pixels[0]).save(photo)
    said = Detector.load(classifier).predict(photo)
    answers = list(answers_for(Detector.load(classifier), [photo, lost]))
    assert answers[0]["probabilities"] == dict(zip(CLASSES.labels, said.probabilities or (), strict=True))
    tell(answers, form="text", csv=tmp_path / "out.csv", classes=CLASSES.labels)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{photo}: {said.label} (probability {said.probability:.3f})"
    assert out[1].startswith(f"{lost}: error: ")
    header, row, failed = (tmp_path / "out.csv").read_text().splitlines()
    assert header.endswith("error,probability of cat,probability of dog,probability of bird")
    assert [float(value) for value in row.split(",")[-3:]] == pytest.approx(said.probabilities)
    assert failed.endswith(",,,")
    tell(answers, form="json", csv=None, classes=CLASSES.labels)
    assert json.loads(capsys.readouterr().out)[0]["label"] == said.label


@pytest.mark.parametrize(
    ("task", "threshold", "message"),
    [(CLASSES, 0.5, "threshold is 0.5, expected null: the verdict is the likeliest class for task multiclass"),
     (BINARY, None, "threshold is None, expected a number for task binary")],
)  # fmt: skip
def test_a_threshold_belongs_to_two_classes(task, threshold, message, tmp_path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(EdgeproofError, match=message):
        write_artifact(
            tmp_path / "out", name="tiny", files={"model.onnx": tmp_path / "model.onnx"}, preprocess=SPEC,
            threshold=threshold, calibration=Calibration(), precision="fp32", task=task,
        )  # fmt: skip


def test_an_artifact_of_families_is_a_binary_one(deployed: Deployed, tmp_path) -> None:
    """The graph sums the families: probability and threshold are read as from any detector."""
    task, calibration = Families(families=("gan", "diffusion")), Calibration(temperature=1.5, bias=-4.0)
    model = tiny_detector(3)
    deploy.export(model, SPEC, out=tmp_path / "out", calibration=calibration, threshold=0.4, task=task)
    with torch.no_grad():
        pixels = torch.from_numpy(SPEC.normalize(deployed.pixels)).permute(0, 3, 1, 2)
        raw = model.eval()(pixels).logits.numpy()
    expected = task.probabilities(raw, calibration=calibration)
    assert raw.shape == (24, 3) and expected.std() > 0.01
    for runtime in MODEL_FILES:
        detector = Detector.load(tmp_path / "out", runtime=runtime, threads=1)
        assert detector.manifest.labels == ("real", "generated") and detector.manifest.threshold == 0.4
        np.testing.assert_allclose(detector.generated(detector.run(deployed.pixels)), expected, atol=1e-5)
