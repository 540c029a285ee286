import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from deploy_fixture import CALIBRATION, SIZE, SPEC, THRESHOLD, Deployed, build_deployed
from PIL import Image

from deploy import runtime as runtime_module
from deploy.artifact import write_artifact
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec

RUNTIMES = ("openvino", "onnxruntime")


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def detector(deployed: Deployed) -> Detector:
    return Detector.load(deployed.folder / "fp32", runtime="onnxruntime", threads=1)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, dtype=np.float64)))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_run_gives_the_calibrated_logits(deployed: Deployed, runtime: str) -> None:
    detector = Detector.load(deployed.folder / "fp32", runtime=runtime, threads=1)
    assert (detector.runtime, detector.precision) == (runtime, "fp32")
    first = detector.run(deployed.pixels)
    assert first.shape == (24,) and first.dtype == np.float32
    np.testing.assert_allclose(first, deployed.logits, atol=1e-4)
    kept = first.copy()
    detector.run(deployed.pixels[::-1])
    np.testing.assert_array_equal(first, kept, err_msg="results are not the reused buffer")
    assert detector.run(deployed.pixels[:0]).shape == (0,)


def test_prediction_of_every_kind_of_image(deployed: Deployed, detector: Detector, tmp_path) -> None:
    array = deployed.pixels[0]
    Image.fromarray(array).save(tmp_path / "photo.png")
    expected = detector.predict(array)
    assert expected.logit == pytest.approx(deployed.logits[0], abs=1e-4)
    assert expected.probability == pytest.approx(sigmoid(expected.logit), abs=1e-12)
    assert expected.threshold == THRESHOLD
    others = [tmp_path / "photo.png", str(tmp_path / "photo.png"), Image.fromarray(array)]
    assert detector.predict(others) == [expected] * 3
    assert [detector.predict(other) for other in others] == [expected] * 3
    assert detector.predict([]) == []
    assert detector.predict(deployed.pixels[:2])[0] == expected


def test_verdict_is_the_threshold(deployed: Deployed, detector: Detector) -> None:
    predictions = detector.predict(deployed.pixels)
    verdicts = deployed.probabilities >= THRESHOLD
    assert 0 < verdicts.sum() < len(verdicts), "the fixture has both verdicts"
    assert [prediction.generated for prediction in predictions] == verdicts.tolist()
    assert [prediction.label for prediction in predictions] == [
        "generated" if verdict else "real" for verdict in verdicts
    ]


def test_extreme_logits_do_not_overflow(detector: Detector) -> None:
    np.testing.assert_allclose(detector.probabilities([-1000.0, 0.0, 1000.0]), [0.0, 0.5, 1.0])


def test_run_and_predict_name_what_they_got(detector: Detector) -> None:
    with pytest.raises(
        EdgeproofError, match=r"found uint8 \[1, 16, 16, 3\], expected uint8 \['N', 32, 32, 3\]"
    ):
        detector.run(np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(EdgeproofError, match=r"found float32"):
        detector.run(np.zeros((1, SIZE, SIZE, 3), np.float32))
    with pytest.raises(EdgeproofError, match=r"images\[0\]: found int, expected a path"):
        detector.predict([3])


def test_tiles_average_the_logits(deployed: Deployed, tmp_path) -> None:
    write_artifact(
        tmp_path / "tiles",
        name="tiny",
        files={"model.onnx": deployed.folder / "fp32.onnx"},
        preprocess=SPEC.model_copy(update={"policy": "tiles"}),
        threshold=0.5,
        calibration=CALIBRATION,
        precision="fp32",
    )
    photo = np.concatenate([deployed.pixels[0], deployed.pixels[1]], axis=1)
    prediction = Detector.load(tmp_path / "tiles", threads=1).predict(photo)
    mean = deployed.logits[:2].mean()
    assert prediction.logit == pytest.approx(mean, abs=1e-4)
    assert prediction.probability == pytest.approx(sigmoid(mean), abs=1e-4)


def test_openvino_keeps_what_it_compiled(deployed: Deployed, tmp_path: Path) -> None:
    folder, cache = deployed.folder / "int8", tmp_path / "cache"
    plain = Detector.load(folder, runtime="openvino", threads=1).run(deployed.pixels)
    for _ in range(2):  # the second finds it
        cached = Detector.load(folder, runtime="openvino", threads=1, cache=cache).run(deployed.pixels)
        np.testing.assert_allclose(cached, plain, atol=1e-6)
        assert list(cache.glob("*.blob"))


# --- which runtime ----------------------------------------------------------------------------------------


def test_runtime_is_the_first_that_is_installed_and_present(deployed: Deployed, monkeypatch) -> None:
    assert Detector.load(deployed.folder / "int8").runtime == "openvino"
    monkeypatch.setattr(runtime_module, "installed_runtimes", lambda: ("onnxruntime",))
    assert Detector.load(deployed.folder / "int8").runtime == "onnxruntime"


@pytest.mark.parametrize(
    ("wanted", "installed", "message"),
    [
        (
            None,
            (),
            r"models for openvino, onnxruntime, installed here: none; pip install 'edgeproof\[openvino\]'",
        ),
        (
            "onnxruntime",
            ("openvino",),
            r"onnxruntime was asked for.*installed here: openvino; pip install.*\[onnx\]",
        ),
        ("tensorrt", RUNTIMES, r"unknown runtime 'tensorrt'; choose one of: onnxruntime, openvino"),
    ],
)
def test_runtime_that_is_missing(deployed: Deployed, monkeypatch, wanted, installed, message) -> None:
    monkeypatch.setattr(runtime_module, "installed_runtimes", lambda: installed)
    with pytest.raises(EdgeproofError, match=message):
        Detector.load(deployed.folder / "fp32", runtime=wanted)


def artifact(deployed: Deployed, folder: Path, **changes) -> Path:
    fields = {
        "name": "tiny",
        "files": {"model.onnx": deployed.folder / "fp32.onnx"},
        "preprocess": SPEC,
        "threshold": 0.5,
        "calibration": CALIBRATION,
        "precision": "fp32",
    }
    write_artifact(folder, **{**fields, **changes})
    return folder


def test_artifact_without_the_wanted_runtime(deployed: Deployed, tmp_path) -> None:
    folder = artifact(deployed, tmp_path / "a")
    with pytest.raises(
        EdgeproofError, match=r"openvino was asked for, the artifact holds models for onnxruntime,"
    ):
        Detector.load(folder, runtime="openvino")


def test_bad_options_and_models(deployed: Deployed, tmp_path) -> None:
    with pytest.raises(EdgeproofError, match=r"threads: found 0, expected at least 1"):
        Detector.load(deployed.folder / "fp32", threads=0)
    with pytest.raises(EdgeproofError, match=r"onnxruntime offers only 'fp32'"):
        Detector.load(deployed.folder / "fp32", runtime="onnxruntime", precision="bf16")
    resized = artifact(deployed, tmp_path / "resized", preprocess=PreprocessSpec(size=64))
    with pytest.raises(
        EdgeproofError, match=r"input is \[1, 32, 32, 3\], the manifest says \[1, 64, 64, 3\]"
    ):
        Detector.load(resized)
    (tmp_path / "junk").write_bytes(b"junk")
    broken = artifact(deployed, tmp_path / "broken", files={"model.onnx": tmp_path / "junk"})
    with pytest.raises(EdgeproofError, match=r"broken.model\.onnx: onnxruntime cannot load the model"):
        Detector.load(broken)


def test_tampered_artifact_is_refused(deployed: Deployed, tmp_path) -> None:
    folder = artifact(deployed, tmp_path / "a")
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(
        EdgeproofError, match=r"model\.onnx: found .* sha256 [0-9a-f]{64}, expected .* [0-9a-f]{64}"
    ):
        Detector.load(folder)


# --- any photo --------------------------------------------------------------------------------------------


def photo(size=(48, 40)) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def test_photos_of_every_mode(detector: Detector, tmp_path) -> None:
    gray = np.linspace(0, 65535, 48 * 40).reshape(40, 48).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    photo().convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(gray).save(tmp_path / "sixteen.png")
    Image.fromarray((gray // 257).astype(np.uint8)).save(tmp_path / "eight.png")
    photo().convert("P").save(tmp_path / "palette.png")
    photo().save(tmp_path / "rotated.png", exif=exif)
    photo().transpose(Image.Transpose.ROTATE_270).save(tmp_path / "upright.png")
    photo().save(tmp_path / "animated.gif", save_all=True, append_images=[Image.new("RGB", (48, 40))])
    photo().save(tmp_path / "still.gif")
    photo().save(tmp_path / "png.png")
    (tmp_path / "png.png").rename(tmp_path / "png_named.jpg")

    def logit(name: str) -> float:
        return detector.predict(tmp_path / name).logit

    assert np.isfinite([logit("cmyk.jpg"), logit("palette.png")]).all()
    assert logit("sixteen.png") == pytest.approx(logit("eight.png"), abs=1e-6)
    assert logit("rotated.png") == logit("upright.png")
    assert logit("animated.gif") == logit("still.gif")
    assert logit("png_named.jpg") == detector.predict(photo()).logit


@pytest.mark.parametrize("kind", ["truncated.jpg", "empty.jpg", "text.jpg", "absent.jpg"])
def test_files_that_are_no_photo_are_named(detector: Detector, tmp_path, kind: str) -> None:
    path = tmp_path / kind
    photo((256, 256)).save(tmp_path / "whole.jpg")
    content = {
        "truncated.jpg": (tmp_path / "whole.jpg").read_bytes()[:1500],
        "empty.jpg": b"",
        "text.jpg": b"this is no picture",
    }
    if kind in content:
        path.write_bytes(content[kind])
    with pytest.raises(EdgeproofError, match=kind) as caught:
        detector.predict([photo(), path])
    assert "\n" not in str(caught.value)


# --- without torch ----------------------------------------------------------------------------------------

BLOCKED = (
    *("torch", "torchvision", "timm", "lightning", "nncf", "onnx", "sklearn", "scipy", "matplotlib"),
    *("psutil", "cpuinfo", "filelock", "tomli_w"),
)
SCRIPT = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Block())
import deploy.artifact, deploy.parity, deploy.quantizers, deploy.runtime
from deploy.runtime import Detector
for runtime in ("openvino", "onnxruntime"):
    for precision in ("fp32", "int8"):
        detector = Detector.load(sys.argv[1] + "/" + precision, runtime=runtime, threads=1)
        print(runtime, precision, detector.predict(sys.argv[2]).probability)
"""


def test_prediction_without_torch(deployed: Deployed, tmp_path) -> None:
    Image.fromarray(deployed.pixels[0]).save(tmp_path / "photo.png")
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(deployed.folder), str(tmp_path / "photo.png")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    lines = [line.split() for line in process.stdout.splitlines()]
    assert [line[:2] for line in lines] == [[r, p] for r in RUNTIMES for p in ("fp32", "int8")]
    for _, precision, probability in lines:
        limit = 1e-3 if precision == "fp32" else 0.1
        assert float(probability) == pytest.approx(deployed.probabilities[0], abs=limit)


def test_a_handled_signal_after_two_openvino_models_is_survived(deployed):
    """With a core for each model, the signal met a stack that OpenVINO had taken away."""
    code = (
        "import gc, os, signal, sys\n"
        "from deploy.runtime import Detector\n"
        "found = [Detector.load(sys.argv[1], runtime='openvino') for _ in range(2)]\n"
        "while found: found.pop(0); gc.collect()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(deployed.folder / "fp32")],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
