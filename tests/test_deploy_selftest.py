"""The eight images that tell whether an artifact answers here as it did where it was made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from cli import edgeproof, one_line_error
from deploy_fixture import CALIBRATION, SPEC, THRESHOLD, Deployed, build_deployed, images, tiny_detector
from manifest_edit import edit
from onnx import numpy_helper

import deploy
from deploy import selftest as selftest_module
from deploy.artifact import read_manifest, verify
from deploy.interface import rewrite
from deploy.selftest import TILE, SelfTestReport, check_folder, require_ok, tiles, unfold, write_selftest
from distill.errors import EdgeproofError, GateFailedError
from distill.files import sha256
from distill.machine import cpu_identity, int8_saturates
from distill.task import MultiClass

RUNTIMES = ("openvino", "onnxruntime")
CALIBRATION_IMAGES = [image[0] for image in images(16, seed=1)]


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture
def tested(deployed: Deployed, tmp_path) -> Path:
    """An INT8 artifact of both runtimes with a self-test."""
    folder = Path(shutil.copytree(deployed.folder / "int8", tmp_path / "tested"))
    assert write_selftest(folder) is not None
    return folder


def hurt(folder: Path) -> None:
    """Change a weight of the ONNX model, and the manifest with it: the digests are in order."""
    path = folder / "model.onnx"
    model = onnx.load(path)
    weights = max(model.graph.initializer, key=lambda value: np.prod(value.dims))
    weights.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weights), weights.name))
    onnx.save(model, path)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    record = {"sha256": sha256(path), "bytes": path.stat().st_size}
    edit(folder, files={**files, "model.onnx": record})


def test_tiles_repeat_mirrored() -> None:
    small = tiles()
    assert small.shape == (8, TILE, TILE, 3) and small.dtype == np.uint8
    assert len({image.tobytes() for image in small}) == 8
    large = unfold(small, size=80)
    assert large.shape == (8, 80, 80, 3)
    for y, x in ((0, 0), (31, 31), (32, 5), (63, 40), (64, 79)):
        source = [i % 64 if i % 64 < 32 else 63 - i % 64 for i in (y, x)]
        np.testing.assert_array_equal(large[:, y, x], small[:, source[0], source[1]])
    np.testing.assert_array_equal(unfold(small, size=16), small[:, :16, :16])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_artifact_passes_where_it_was_made(tested: Path, runtime: str) -> None:
    report = check_folder(tested, runtime=runtime, threads=2)
    assert (report.status, report.reason) == ("ok", "")
    assert len(report.answers) == 8 and report.tolerance is not None
    assert max(answer.difference for answer in report.answers) <= report.tolerance
    assert len({answer.expected for answer in report.answers}) == 8, "the images tell networks apart"
    require_ok(report)
    assert deploy.Detector.load(tested, runtime=runtime, selftest=True).runtime == runtime
    assert SelfTestReport.parse(json.loads(report.model_dump_json()), origin="report") == report


def test_the_self_test_is_part_of_what_is_verified(tested: Path) -> None:
    manifest = verify(tested)
    assert manifest.schema_version == 4 and manifest.selftest is not None
    assert set(manifest.selftest.expected) == set(RUNTIMES)
    assert (tested / "selftest.bin").read_bytes() == tiles().tobytes()
    data = bytearray((tested / "selftest.bin").read_bytes())
    data[0] ^= 1
    (tested / "selftest.bin").write_bytes(data)
    with pytest.raises(EdgeproofError, match=r"selftest\.bin: found 24576 bytes"):
        check_folder(tested)


def test_altered_weights_are_caught_though_the_digests_fit(tested: Path) -> None:
    hurt(tested)
    verify(tested)
    report = check_folder(tested, runtime="onnxruntime")
    assert report.status == "failed" and report.worst is not None
    worst = report.answers[report.worst]
    assert worst.difference == max(answer.difference for answer in report.answers)
    with pytest.raises(GateFailedError) as caught:
        deploy.Detector.load(tested, runtime="onnxruntime", selftest=True)
    message = str(caught.value)
    assert "\n" not in message
    assert f"self-test failed on {cpu_identity()[0]} with onnxruntime: image {report.worst} gives" in message
    assert f"logit {worst.found[0]:.4f}, expected {worst.expected[0]:.4f} ± {report.tolerance:.3g}" in message
    assert check_folder(tested, runtime="openvino").status == "ok", "that model is whole"


def test_the_message_names_the_instruction_sets_that_differ(tested: Path) -> None:
    hurt(tested)
    found = json.loads((tested / "manifest.json").read_text())["selftest"]
    flags = [*(flag for flag in cpu_identity()[1] if flag != "fma"), "sve"]
    edit(tested, selftest={**found, "cpu_model": "Another CPU", "isa_flags": flags})
    reason = check_folder(tested, runtime="onnxruntime").reason
    assert "as on Another CPU (it lacks sve" in reason
    assert ("it has fma besides" in reason) == ("fma" in cpu_identity()[1])


def test_no_number_never_passes(tested: Path, monkeypatch) -> None:
    monkeypatch.setattr(selftest_module, "_logits", lambda *_: np.full((8, 1), np.nan, np.float32))
    report = check_folder(tested)
    assert report.status == "failed" and "gives logit no number" in report.reason
    assert report.answers[0].found == (None,)
    assert write_selftest(tested) is None, "nor can it be expected"


@pytest.mark.skipif(int8_saturates(), reason="made for this processor without VNNI: there is nothing to lose")
def test_saturation_without_vnni_is_noticed(deployed: Deployed, tmp_path) -> None:
    """OpenVINO held to AVX2 computes INT8 as a processor without VNNI does."""
    shutil.copytree(deployed.folder / "fp32", tmp_path / "fp32")
    write_selftest(tmp_path / "fp32")
    for name, reduced in (("full", False), ("reduced", True)):
        deploy.quantize(
            tmp_path / "fp32", CALIBRATION_IMAGES, out=tmp_path / name, settings={"reduce_range": reduced}
        )
    script = "import sys; from deploy.selftest import check_folder; print(check_folder(sys.argv[1], runtime='openvino').status)"
    for name, expected in (("fp32", "ok"), ("full", "failed"), ("reduced", "ok")):
        result = subprocess.run(
            [sys.executable, "-c", script, tmp_path / name],
            env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert result.stdout.strip() == expected, name


def test_export_quantize_and_rewrite_carry_it(tmp_path) -> None:
    deploy.export(tiny_detector(), SPEC, out=tmp_path / "fp32", calibration=CALIBRATION, threshold=THRESHOLD)
    fp32 = verify(tmp_path / "fp32").selftest
    assert fp32 is not None and set(fp32.expected) == set(RUNTIMES)
    np.testing.assert_allclose(fp32.expected["openvino"], fp32.expected["onnxruntime"], atol=1e-4)
    deploy.quantize(tmp_path / "fp32", CALIBRATION_IMAGES, out=tmp_path / "int8", tool="ort")
    int8 = verify(tmp_path / "int8").selftest
    assert int8 is not None and set(int8.expected) == {"onnxruntime"}
    assert int8.expected["onnxruntime"] != fp32.expected["onnxruntime"], "INT8 has its own answers"
    rewrite(tmp_path / "int8", tmp_path / "again", threshold=0.2)
    assert verify(tmp_path / "again").selftest == int8
    assert check_folder(tmp_path / "again").status == "ok"


def test_several_classes(deployed: Deployed, tmp_path) -> None:
    task = MultiClass(labels=("real", "a", "b"))
    deploy.export(tiny_detector(3), SPEC, out=tmp_path / "classes", task=task)
    report = check_folder(tmp_path / "classes", runtime="onnxruntime")
    assert report.status == "ok" and len(report.answers[0].expected) == 3
    hurt(tmp_path / "classes")
    assert "gives logit [" in check_folder(tmp_path / "classes", runtime="onnxruntime").reason


def test_nothing_checked_is_never_ok(deployed: Deployed, tested: Path) -> None:
    assert check_folder(deployed.folder / "int8").status == "not checked"
    with pytest.raises(EdgeproofError, match=r"self-test not checked: the artifact holds no self-test"):
        deploy.Detector.load(deployed.folder / "int8", selftest=True)
    found = json.loads((tested / "manifest.json").read_text())["selftest"]
    edit(tested, selftest={**found, "expected": {"openvino": found["expected"]["openvino"]}})
    report = check_folder(tested, runtime="onnxruntime")
    assert (report.status, report.reason) == ("not checked", "its self-test holds no logits of onnxruntime")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [8, 32, 16, 3]}, r"shape is \[8, 32, 16, 3\], expected square images"),
        ({"shape": [8, 16, 16, 3]}, r"selftest\.bin: 24576 bytes, expected 6144 bytes"),
        ({"expected": {"onnxruntime": [[1.0]]}}, r"expected\.onnxruntime holds 1 images, expected 8"),
        (
            {"expected": {"onnxruntime": [[1.0, 2.0]] * 8}},
            r"selftest\.expected: \[2\] logits an image, expected 1",
        ),
        ({"tolerance": 0}, r"selftest\.tolerance: found 0"),
        ({"expected": {}}, r"selftest\.expected: found {}"),
    ],
)
def test_a_self_test_that_does_not_fit(tested: Path, change, message) -> None:
    edit(tested, selftest={**json.loads((tested / "manifest.json").read_text())["selftest"], **change})
    with pytest.raises(EdgeproofError, match=message):
        read_manifest(tested)


def test_the_command(deployed: Deployed, tested: Path) -> None:
    fine = edgeproof("selftest", tested, "--runtime", "onnxruntime")
    assert fine.returncode == 0, fine.stderr
    assert f"self-test ok on {cpu_identity()[0]} with onnxruntime: 8 images" in fine.stdout
    hurt(tested)
    failed = edgeproof("selftest", tested, "--runtime", "onnxruntime", "--json")
    assert one_line_error(failed, code=1).count("expected") == 1
    assert json.loads(failed.stdout)["status"] == "failed"
    assert "self-test not checked" in one_line_error(edgeproof("selftest", deployed.folder / "fp32"))


def test_processor_from_the_kernel(tmp_path, monkeypatch) -> None:
    told = tmp_path / "cpuinfo"
    monkeypatch.setattr("distill.machine._CPUINFO", told)
    told.write_text(
        "processor : 0\nmodel name : Fast\nflags : fpu avx2 avx512_vnni\n\nprocessor : 1\nmodel name : Slow\n"
    )
    assert cpu_identity() == ("Fast", ("avx2", "avx512_vnni"))
    told.write_text("processor : 0\nFeatures : fp asimd asimddp\n")
    assert cpu_identity()[1] == ("asimd", "asimddp") and cpu_identity()[0]
    told.unlink()
    assert cpu_identity()[1] == ()
