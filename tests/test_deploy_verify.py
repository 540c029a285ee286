import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from artifact_fixture import timing, write_photos
from deploy_fixture import CALIBRATION, SPEC, THRESHOLD, Deployed, build_deployed
from onnx import TensorProto
from PIL import Image

from deploy import verify as verifying
from deploy.artifact import read_manifest, write_artifact
from deploy.awkward import awkward_images, awkward_pixels
from deploy.graph_check import graph_problems
from deploy.interface import rewrite
from deploy.verify import verify_artifact
from deploy.verify_record import VerifyReport
from deploy.verify_text import lines, write_report
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec
from distill.training.checkpoint import save_weights
from students import STUDENTS


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def photos(deployed: Deployed, tmp_path_factory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), deployed, count=40)


def same_time(contestants, reference):
    return {name: timing(1.0) for name in contestants}


def check(folder: Path, **changes) -> VerifyReport:
    return verify_artifact(folder, **{"timer": same_time, **changes})


def found(report: VerifyReport) -> dict[str, tuple[str, str]]:
    return {item.name: (item.status, item.reason) for item in report.checks}


def statuses(report: VerifyReport) -> dict[str, str]:
    return {item.name: item.status for item in report.checks}


def test_a_sound_int8_artifact_passes(deployed: Deployed, photos: Path, tmp_path) -> None:
    report = check(deployed.folder / "int8", against=deployed.folder / "fp32", data=photos)
    checks = statuses(report)
    for runtime in ("openvino", "onnxruntime"):
        names = ("graph", "INT8", "parity, awkward images", "parity, random pixels", "accuracy", "timing")
        assert {checks[f"{name}, {runtime}"] for name in names} == {"ok"}, report.checks
        assert report.ratios[runtime] == 1.0
    assert checks["digests"] == "ok"
    assert report.data == "40 images of " + photos.name
    for path in write_report(report, tmp_path, data=photos):
        assert path.stat().st_size
    assert VerifyReport.read(tmp_path / "verify.json") == report


def test_what_was_not_looked_at_is_not_checked(deployed: Deployed) -> None:
    report = check(deployed.folder / "int8")
    checks = found(report)
    for name in ("INT8, openvino", "INT8, onnxruntime", "images", "accuracy"):
        assert checks[name][0] == "not checked"
    assert checks["images"][1] == "no images were given (--data)"
    assert checks["parity, awkward images, onnxruntime"][0] == "ok", "against the other runtime"
    assert not report.failed
    assert lines(report)[-1].endswith("4 not checked")


def test_an_altered_file_is_not_run(deployed: Deployed, tmp_path) -> None:
    folder = Path(shutil.copytree(deployed.folder / "fp32", tmp_path / "altered"))
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    report = check(folder, against=deployed.folder / "fp32")
    checks = found(report)
    assert checks["digests"][0] == "failed" and "model.onnx: found" in checks["digests"][1]
    assert {status for name, (status, _) in checks.items() if name != "digests"} == {"not checked"}
    assert report.failed


def test_flips_are_listed_and_shown(deployed: Deployed, photos: Path, tmp_path) -> None:
    rewrite(deployed.folder / "fp32", tmp_path / "moved", threshold=0.0001)
    report = check(tmp_path / "moved", against=deployed.folder / "fp32", data=photos)
    status, reason = found(report)["images, openvino"]
    assert status == "failed" and "verdicts flip" in reason and "at most 5%" in reason
    flips = [flip for flip in report.flips if flip.runtime == "openvino"]
    assert flips
    for flip in flips:
        assert (flip.was, flip.now) == ("real", "generated")
        assert flip.before < THRESHOLD and (photos / flip.image).is_file()
    written = write_report(report, tmp_path / "out", data=photos)
    assert [path.name for path in written] == ["verify.json", "flips.png"]
    with Image.open(tmp_path / "out" / "flips.png") as sheet:
        assert np.asarray(sheet).std() > 10
    assert any(flips[0].image in line for line in lines(report))


def _rewritten(deployed: Deployed, folder: Path, change) -> Path:
    """The FP32 artifact with another ONNX graph."""
    model = onnx.load(deployed.folder / "fp32.onnx")
    change(model)
    onnx.save(model, folder / "changed.onnx")
    write_artifact(
        folder / "artifact", name="tiny", files={"model.onnx": folder / "changed.onnx"}, preprocess=SPEC,
        threshold=THRESHOLD, calibration=CALIBRATION, precision="fp32",
    )  # fmt: skip
    return folder / "artifact"


def _dropout(node):
    """In place of ``node``."""
    return onnx.helper.make_node("Dropout", [node.input[0]], [node.output[0]])


def _scale_head(model) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and list(tensor.dims) == [16, 16, 3, 3]:
            array = onnx.numpy_helper.to_array(tensor) * np.float32(1.2)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def test_other_weights_fail_parity_and_nothing_else(deployed: Deployed, photos: Path, tmp_path) -> None:
    report = check(_rewritten(deployed, tmp_path, _scale_head), against=deployed.folder / "fp32", data=photos)
    checks = found(report)
    assert checks["digests"][0] == checks["graph, onnxruntime"][0] == "ok"
    assert checks["images, onnxruntime"][0] == "failed"
    assert "at most 0.001" in checks["images, onnxruntime"][1]
    assert checks["parity, awkward images, onnxruntime"][0] == "failed"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", "N"), r"inputs are image uint8 \[-1"),
        (lambda m: m.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1)), "operators of com.microsoft"),
        (lambda m: m.graph.output.pop(), r"outputs are probability float \[1\], expected"),
        (lambda m: m.graph.node[-1].CopyFrom(_dropout(m.graph.node[-1])), "Dropout is for training, expected none"),
    ],
)  # fmt: skip
def test_a_graph_that_breaks_the_contract_is_told(deployed: Deployed, tmp_path, change, match: str) -> None:
    folder = _rewritten(deployed, tmp_path, change)
    problems = graph_problems(folder, read_manifest(folder), "onnxruntime")
    assert len(problems) == 1
    assert re.search(match, problems[0]), problems


def test_openvino_graphs_are_read_too(deployed: Deployed) -> None:
    folder = deployed.folder / "fp32"
    manifest = read_manifest(folder)
    assert graph_problems(folder, manifest, "openvino") == []
    other = manifest.model_copy(update={"outputs": ("probabilities", "logits")})
    (problem,) = graph_problems(folder, other, "openvino")
    assert problem.startswith("outputs are probability float [1], logit float [1], expected probabilities")


def test_a_float_file_that_calls_itself_int8_fails(deployed: Deployed, tmp_path) -> None:
    write_artifact(
        tmp_path / "false", name="tiny", files={"model.onnx": deployed.folder / "fp32.onnx"},
        preprocess=SPEC, threshold=THRESHOLD, calibration=CALIBRATION, precision="int8",
    )  # fmt: skip
    report = check(tmp_path / "false", against=deployed.folder / "fp32")
    assert found(report)["INT8, onnxruntime"][0] == "failed"
    assert report.failed


def test_wrong_labels_are_no_better_than_guessing(deployed: Deployed, photos: Path, tmp_path) -> None:
    swapped = tmp_path / "swapped"
    shutil.copytree(photos / "real", swapped / "fake")
    shutil.copytree(photos / "fake", swapped / "real")
    status, reason = found(check(deployed.folder / "fp32", data=swapped))["accuracy, openvino"]
    assert status == "failed" and "cannot be told from guessing" in reason


def test_a_few_labelled_images_judge_no_accuracy(deployed: Deployed, photos: Path) -> None:
    status, reason = found(check(deployed.folder / "fp32", data=photos, samples=10))["accuracy"]
    assert (status, reason) == ("not checked", "10 images, expected 40 or more")


def test_slow_int8_is_a_warning(deployed: Deployed, monkeypatch) -> None:
    monkeypatch.setattr(
        verifying, "slow_warning", lambda folder, **about: f"{about['name']} {about['ratio']}"
    )
    report = check(
        deployed.folder / "int8", against=deployed.folder / "fp32",
        timer=lambda contestants, reference: {name: timing(1.5) for name in contestants},
    )  # fmt: skip
    assert report.warnings == ("INT8 in openvino 1.5", "INT8 in onnxruntime 1.5")
    assert not report.failed


def test_a_time_that_is_none_fails(deployed: Deployed) -> None:
    never = replace(timing(1.0), p50_ms=float("inf"))
    report = check(
        deployed.folder / "fp32", timer=lambda contestants, _: {name: never for name in contestants}
    )
    assert found(report)["timing, openvino"] == ("failed", "inf ms, expected a finite time")


@pytest.fixture(scope="session")
def from_checkpoint(tmp_path_factory) -> tuple[Path, Path]:
    """An artifact and the checkpoint it was made from."""
    from deploy import export
    from distill.files import sha256

    folder = tmp_path_factory.mktemp("checkpoint")
    options = {"base_channels": 16, "blocks": 2, "convs_per_block": 1}
    network = STUDENTS["small_cnn"](num_logits=1, **options).eval()
    spec = PreprocessSpec(size=32)
    weights = folder / "weights.safetensors"
    about = {
        "architecture": "small_cnn",
        "options": options,
        "task": "binary",
        "preprocess": spec.model_dump(mode="json"),
    }
    save_weights(network, weights, sidecar=about)
    export(network, spec, out=folder / "fp32", calibration=CALIBRATION, parent=sha256(weights))
    return folder / "fp32", weights


def test_a_checkpoint_is_compared_in_torch(from_checkpoint: tuple[Path, Path], tmp_path) -> None:
    artifact, weights = from_checkpoint
    report = check(artifact, against=weights)
    checks = found(report)
    assert checks["parent"] == ("ok", "made from this checkpoint")
    assert checks["parity, awkward images, openvino"][0] == "ok"
    assert report.against == "checkpoint weights.safetensors (torch)"
    rewritten = tmp_path / "other.safetensors"
    options = {"base_channels": 16, "blocks": 2, "convs_per_block": 1}
    about = {
        "architecture": "small_cnn",
        "options": options,
        "task": "binary",
        "preprocess": PreprocessSpec(size=32).model_dump(mode="json"),
    }
    save_weights(STUDENTS["small_cnn"](num_logits=1, **options), rewritten, sidecar=about)
    checks = found(check(artifact, against=rewritten))
    assert checks["parent"][0] == checks["parity, awkward images, openvino"][0] == "failed"


def test_what_cannot_be_compared_is_bad_input(deployed: Deployed, from_checkpoint, tmp_path) -> None:
    with pytest.raises(EdgeproofError, match="--against .*: expected an artifact's folder"):
        check(deployed.folder / "fp32", against=tmp_path)
    with pytest.raises(EdgeproofError, match="--against .*: preprocess are "):
        check(deployed.folder / "fp32", against=from_checkpoint[0])
    with pytest.raises(EdgeproofError, match="nowhere: no such file or folder"):
        check(deployed.folder / "fp32", data=tmp_path / "nowhere")


def test_awkward_images_are_awkward() -> None:
    images = awkward_images()
    assert {image.mode for image in images.values()} == {"RGB", "L", "RGBA", "I;16"}
    assert min(min(image.size) for image in images.values()) == 1
    assert max(max(i.size) / min(i.size) for i in images.values()) >= 400
    for policy in ("resize", "center_crop", "tiles"):
        pixels = awkward_pixels(PreprocessSpec(size=32, policy=policy))
        assert {array.shape for array in pixels.values()} == {(1, 32, 32, 3)}
        assert (pixels["black"].max(), pixels["white"].min()) == (0, 255)
