"""The C and C++ programs, built here, against Python's Detector."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from deploy_fixture import CALIBRATION, SIZE, SPEC, THRESHOLD, Deployed, build_deployed, tiny_detector
from filelock import FileLock
from manifest_edit import edit
from PIL import Image

import deploy
from deploy.artifact import write_artifact
from deploy.manifest_digest import true_digest
from deploy.runtime import Detector
from deploy.selftest import write_selftest
from distill.files import sha256
from distill.machine import cpu_identity
from distill.task import MultiClass

SOURCES = Path(deploy.__file__).parent / "embedded"
RUNTIMES = {"onnxruntime": "detect_onnxruntime", "openvino": "detect_openvino"}

Run = Callable[..., subprocess.CompletedProcess[str]]


def unavailable(reason: str) -> NoReturn:
    """Skip where somebody works, fail where the project is proven."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def headers(folder: Path) -> Path:
    """Those that ``make test`` fetched, or fetched now."""
    kept = Path(sys.prefix, "include", "onnxruntime")
    if (kept / "onnxruntime_c_api.h").is_file():
        return kept
    result = subprocess.run(
        ["sh", SOURCES / "onnxruntime_headers.sh", folder], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        unavailable(result.stderr.strip())
    return folder


def build(folder: Path) -> None:
    """Configure and compile both programs in ``folder``."""
    for tool in ("cc", "c++"):
        if shutil.which(tool) is None:
            unavailable(f"no {tool} here, expected a C and C++ compiler")
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    cmake = shutil.which("cmake", path=path) or unavailable("no cmake here, pip install 'edgeproof[dev]'")
    wheels, include = sysconfig.get_path("platlib"), headers(folder / "include")
    for command in (
        [cmake, "-S", SOURCES, "-B", folder, f"-DWHEELS={wheels}", f"-DONNXRUNTIME_INCLUDE_DIR={include}",
         "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON", "-DCMAKE_C_FLAGS=-Werror"],
        [cmake, "--build", folder],
    ):  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both, built once however many workers test."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "edgeproof-embedded"
    with FileLock(f"{folder}.lock"):
        if not (folder / "built").is_file():
            build(folder)
            (folder / "built").touch()
    return folder


@pytest.fixture(params=sorted(RUNTIMES))
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def detect(programs: Path, runtime: str) -> Run:
    """Run the program of ``runtime``."""

    def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        command = [programs / RUNTIMES[runtime], *map(str, arguments)]
        result = subprocess.run(command, input=stdin, capture_output=True, check=False)
        return subprocess.CompletedProcess(
            command, result.returncode, result.stdout.decode(), result.stderr.decode()
        )

    return run


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture
def artifact(deployed: Deployed, tmp_path: Path) -> Path:
    """An INT8 artifact of both runtimes with a self-test, of which any photo's middle is judged."""
    folder = tmp_path / "artifact"
    write_artifact(
        folder,
        name="tiny",
        files={f"model.{kind}": deployed.folder / f"int8.{kind}" for kind in ("onnx", "xml", "bin")},
        preprocess=SPEC.model_copy(update={"policy": "center_crop"}),
        threshold=THRESHOLD,
        calibration=CALIBRATION,
        precision="int8",
    )
    write_selftest(folder)
    return folder


def photos(folder: Path, pixels: Sequence[np.ndarray]) -> list[Path]:
    """``pixels`` as PPM files."""
    paths = [folder / f"{index}.ppm" for index in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)
    return paths


def answers(result: subprocess.CompletedProcess[str]) -> list[dict]:
    assert (result.returncode, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def error(result: subprocess.CompletedProcess[str], *, code: int = 2) -> str:
    assert result.returncode == code, (result.stdout, result.stderr)
    assert result.stderr.count("\n") == 1 and ": error: " in result.stderr, result.stderr
    return result.stderr.partition(": error: ")[2].strip()


def test_same_answers_as_python(
    detect: Run, runtime: str, deployed: Deployed, artifact: Path, tmp_path
) -> None:
    paths = photos(tmp_path, deployed.pixels)
    expected = Detector.load(artifact, runtime=runtime, threads=1).predict(paths)
    assert {prediction.label for prediction in expected} == {"real", "generated"}
    found = answers(detect(artifact, *paths, "--json", "--threads", 2))
    assert [answer["path"] for answer in found] == list(map(str, paths))
    for answer, prediction in zip(found, expected, strict=True):
        assert answer["logit"] == pytest.approx(prediction.logit, abs=1e-5)
        assert answer["probability"] == pytest.approx(prediction.probability, abs=1e-5)
        assert (answer["label"], answer["threshold"]) == (prediction.label, THRESHOLD)
    text = detect(artifact, paths[0])
    probability = f"probability of generated {expected[0].probability:.3f}, threshold {THRESHOLD:.3f}"
    assert text.stdout == f"{paths[0]}: {expected[0].label} ({probability})\n"


def test_not_sure_within_the_band(detect: Run, deployed: Deployed, artifact: Path, tmp_path) -> None:
    paths = photos(tmp_path, deployed.pixels)
    probabilities = sorted(answer["probability"] for answer in answers(detect(artifact, *paths, "--json")))
    low, high = (sum(probabilities[at - 1 : at + 1]) / 2 for at in (5, 15))
    edit(artifact, band={"low": low, "high": high})
    found = answers(detect(artifact, *paths, "--json"))
    unsure = [answer["probability"] for answer in found if answer["answer"] == "not sure"]
    assert sorted(unsure) == pytest.approx(probabilities[5:15])
    assert all(answer["answer"] in {answer["label"], "not sure"} for answer in found)
    assert ": not sure (probability of generated" in detect(artifact, *paths).stdout


def test_fp32_and_several_classes(detect: Run, runtime: str, deployed: Deployed, tmp_path) -> None:
    task = MultiClass(labels=("real", 'a "quoted" one', "ü\t\\"))
    deploy.export(tiny_detector(3), SPEC, out=tmp_path / "classes", task=task)
    paths = photos(tmp_path, deployed.pixels[:6])
    expected = Detector.load(tmp_path / "classes", runtime=runtime).predict(paths)
    assert expected[0].label != task.labels[0]
    found = answers(detect(tmp_path / "classes", *paths, "--json"))
    for answer, prediction in zip(found, expected, strict=True):
        assert (answer["label"], answer["threshold"]) == (prediction.label, None)
        assert answer["logit"] == pytest.approx(prediction.logit, abs=1e-5)
        assert list(answer["probabilities"]) == list(task.labels)
        assert tuple(answer["probabilities"].values()) == pytest.approx(prediction.probabilities, abs=1e-5)


def test_middle_of_a_larger_image_frames_of_a_stream_and_raw_pixels(
    detect: Run, runtime: str, deployed: Deployed, artifact: Path, tmp_path
) -> None:
    wide = np.random.default_rng(3).integers(0, 256, (SIZE + 5, SIZE + 8, 3)).astype(np.uint8)
    (path,) = photos(tmp_path, [wide])
    detector = Detector.load(artifact, runtime=runtime)
    (cropped,) = answers(detect(artifact, path, "--json"))
    assert cropped["logit"] == pytest.approx(detector.predict(path).logit, abs=1e-5)
    commented = path.read_bytes().replace(b"P6\n", b"P6 # by hand\n#\n", 1)
    first, second = answers(detect(artifact, "-", "--json", stdin=path.read_bytes() + commented))
    assert first == second == {**cropped, "path": "-"}
    expected = detector.predict(list(deployed.pixels[:3]))
    found = answers(detect(artifact, "-", "--raw", "--json", stdin=deployed.pixels[:3].tobytes()))
    assert [answer["logit"] for answer in found] == pytest.approx([one.logit for one in expected], abs=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes), expected an image"),
        (b"\xff\xd8\xff\xe0", "no binary PPM, expected a file that begins with P6"),
        (b"P6\n32 32\n255\n" + bytes(100), "truncated, expected all the rows that its header promises"),
        (b"P6\n32\n", "the height is missing in the PPM's header"),
        (b"P6\n32 32\n65535\n" + bytes(6144), "the largest value is 65535, expected 255"),
        (b"P6\n99999999999 32\n255\n", "the width is missing"),
        (b"P6\n0 32\n255\n", "the width is missing"),
        (b"P6\n31 40\n255\n" + bytes(31 * 40 * 3), "31 x 40 pixels, expected at least 32 x 32"),
    ],
)
def test_bad_images(detect: Run, artifact: Path, tmp_path, content, message) -> None:
    (tmp_path / "bad.ppm").write_bytes(content)
    assert error(detect(artifact, tmp_path / "bad.ppm")).startswith(f"{tmp_path / 'bad.ppm'}: {message}")


def test_images_and_options_that_are_refused(
    detect: Run, deployed: Deployed, artifact: Path, tmp_path
) -> None:
    assert error(detect(artifact, tmp_path / "none.ppm")).endswith("none.ppm: no such image file")
    assert "truncated, expected 3072 bytes an image" in error(
        detect(artifact, "-", "--raw", stdin=bytes(3000))
    )
    (path,) = photos(tmp_path, [np.zeros((40, 40, 3), np.uint8)])
    squeezed = detect(deployed.folder / "int8", path)
    assert squeezed.returncode == 2
    assert "40 x 40 pixels, expected 32 x 32: the artifact's policy is resize" in squeezed.stderr
    assert "--quick: unknown option" in error(detect(artifact, "--quick"))
    assert "--threads: found 0, expected a number" in error(detect(artifact, "--threads", "0"))
    assert "no artifact was named" in error(detect())
    assert detect("--help").stdout.startswith("usage: detect_")


def test_every_digest_is_checked(detect: Run, deployed: Deployed, artifact: Path, tmp_path) -> None:
    files = {f"model.{kind}": deployed.folder / f"fp32.{kind}" for kind in ("onnx", "xml", "bin")}
    for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 100_000):  # around the padding's corners
        files[f"bytes{length}"] = tmp_path / f"bytes{length}"
        files[f"bytes{length}"].write_bytes(np.random.default_rng(length).bytes(length))
    write_artifact(
        tmp_path / "many", name="many", files=files, preprocess=SPEC, threshold=0.5, calibration=CALIBRATION,
        precision="fp32",
    )  # fmt: skip
    (path,) = photos(tmp_path, [deployed.pixels[0]])
    assert detect(tmp_path / "many", path).returncode == 0
    for name in ("selftest.bin", "model.bin"):
        folder = shutil.copytree(artifact, tmp_path / f"tampered-{name}")
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        found, expected = sha256(folder / name), sha256(artifact / name)
        assert error(detect(folder)) == (
            f"{folder / name}: found {len(data)} bytes with sha256 {found}, "
            f"expected {len(data)} bytes with sha256 {expected}"
        )
    (artifact / "model.xml").unlink()
    assert "model.xml: missing, expected" in error(detect(artifact))


def test_manifests_that_are_refused(detect: Run, artifact: Path, tmp_path) -> None:
    assert "manifest.json: no such file, expected an artifact folder" in error(detect(tmp_path / "nowhere"))
    whole = (artifact / "manifest.json").read_text()
    found = json.loads(whole)
    for changes, message in (
        ({"schema_version": 5}, "schema_version is 5, expected a whole number from 1 to 4"),
        ({"threshold": None}, "threshold: expected a number"),
        ({"labels": ["one"]}, "labels: expected 2 or more"),
        ({"task": "regression"}, "task: expected binary or multiclass"),
        (
            {"files": {**found["files"], "../x": found["files"]["model.xml"]}},
            "files: expected plain file names",
        ),
        ({"preprocess": {**found["preprocess"], "size": 64}}, "the manifest says 12288"),
        (
            {"selftest": {**found["selftest"], "shape": [9, 32, 32, 3]}},
            "selftest.expected: expected a row for each",
        ),
    ):
        edit(artifact, **changes)
        assert message in error(detect(artifact)), changes
        (artifact / "manifest.json").write_text(whole)
    for broken in (whole[:-3], whole.replace(":", "=", 1), whole + "}", "[" * 100_000, ""):
        (artifact / "manifest.json").write_text(broken)
        assert "manifest.json: not readable as JSON (byte " in error(detect(artifact))


def test_a_manifest_that_was_changed_is_refused(detect: Run, artifact: Path) -> None:
    path = artifact / "manifest.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found, ensure_ascii=False, indent="\t\t") + "\n\n")
    assert detect(artifact).returncode == 0, "the space between values does not count"
    path.write_text(json.dumps({**found, "threshold": 0.9}))
    assert (
        f"was changed after it was written: its content has the digest {true_digest(path.read_bytes())}, expected "
        in (error(detect(artifact)))
    )
    path.write_text(json.dumps({**found, "more": 1}))
    assert "digest: expected the SHA-256 of all before it at its end" in error(detect(artifact))


def test_damaged_manifests_never_crash(detect: Run, artifact: Path) -> None:
    whole = (artifact / "manifest.json").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(25):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(1, 256)
        (artifact / "manifest.json").write_bytes(data)
        result = detect(artifact)
        assert result.returncode in {0, 1, 2}, "a signal"
        assert result.returncode == 0 or error(result, code=result.returncode)


def test_self_test(detect: Run, runtime: str, deployed: Deployed, artifact: Path, tmp_path) -> None:
    fine = detect(artifact)
    assert (fine.returncode, fine.stderr) == (0, "")
    assert f"self-test ok with {runtime}: 8 images, largest difference" in fine.stdout
    found = json.loads((artifact / "manifest.json").read_text())["selftest"]
    logits = found["expected"][runtime]
    logits[5] = [logits[5][0] + 1]
    changed = {**found, "expected": {runtime: logits}, "cpu_model": "Another CPU"}
    edit(artifact, selftest={**changed, "isa_flags": [*found["isa_flags"], "psychic"]})
    (path,) = photos(tmp_path, [deployed.pixels[0]])
    message = error(detect(artifact, path), code=1)
    assert message.startswith(f"{artifact}: self-test failed on {cpu_identity()[0]} with {runtime}: image 5")
    assert (
        f"expected {logits[5][0]:.4f} ± {found['tolerance']:.3g} as on Another CPU (it lacks psychic)"
        in message
    )


def test_nothing_to_check_is_no_pass(detect: Run, runtime: str, deployed: Deployed, tmp_path) -> None:
    folder = deployed.folder / "int8"
    assert f"self-test not checked: the artifact holds none for {runtime}" in error(detect(folder))
    (path,) = photos(tmp_path, [deployed.pixels[0]])
    judged = detect(folder, path)
    assert judged.returncode == 0 and "warning:" in judged.stderr and "not checked" in judged.stderr
