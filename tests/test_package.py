"""What is shipped, what is imported, and what needs no torch."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGES = {"teachers", "students", "distill", "deploy", "bench"}
TORCH_FREE = """
    bench.accuracy bench.card bench.contestants.artifact bench.degradations bench.latency
    bench.records.accuracy bench.records.distillation bench.records.latency
    bench.attribution.collect bench.attribution.page bench.report.terminal bench.report.write bench.seeds bench.stages
    deploy.artifact deploy.auto deploy.bounded deploy.card deploy.hub deploy.metadata deploy.parity deploy.predict
    deploy.runtime deploy.selftest
    deploy.signing deploy.timing deploy.variants
    deploy.evaluate deploy.evaluate_page deploy.evaluate_text deploy.service.app
    deploy.explain.images deploy.explain.page deploy.explain.scores deploy.video.answer
    deploy.stages.degradations distill.__main__ distill.cli.doctor distill.data.explore.inspect
    distill.data.explore.report distill.data.layouts distill.data.scan distill.data.shards.pack
    distill.data.transforms.augment distill.data.transforms.degradations distill.data.unlabelled
    distill.errors distill.evaluation.metrics distill.files distill.machine distill.page.charts
    distill.page.html distill.page.markdown distill.pipeline.runner distill.pipeline.stage distill.pool
    distill.preprocess distill.recipe distill.roster distill.task distill.record
""".split()
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "timm", "lightning", "torchmetrics"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    [path] = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def test_wheel_holds_the_five_packages_and_nothing_else(wheel: list[str]) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert all(f"{package}/py.typed" in wheel for package in PACKAGES)


def test_wheel_holds_the_package_data(wheel: list[str]) -> None:
    for name in ("demo", "cifake", "teacher-b3"):
        assert f"distill/recipes/{name}.toml" in wheel
    for name in ("sim-64.safetensors", "sim-64.json"):
        assert f"teachers/pretrained/{name}" in wheel
    for name in ("page.css", "page.html.j2", "blocks.html.j2"):
        assert f"distill/page/{name}" in wheel
    for name in ("CMakeLists.txt", "program.c", "detect_openvino.cpp", "engine.h", "onnxruntime_headers.sh"):
        assert f"deploy/embedded/{name}" in wheel
    for name in ("model.onnx", "manifest.json", "selftest.bin", "README.md"):
        assert f"deploy/pretrained/simulated-64/onnxruntime/{name}" in wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_wheel_holds_every_module(wheel: list[str]) -> None:
    modules = {
        path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= set(wheel)


def test_extras_are_those_of_the_design() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">=")[0] for requirement in project["dependencies"]}
    assert names == {"numpy", "pillow", "pydantic", "typer", "rich"}
    assert {"onnx", "openvino", "train", "quantize", "bench", "dev", "all"} <= project[
        "optional-dependencies"
    ].keys()


@pytest.mark.parametrize("module", TORCH_FREE)
def test_imports_without_torch(module: str) -> None:
    code = f"{BLOCK}\nimport {module}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_predict_needs_no_torch(finished_run: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (60, 40), "teal").save(tmp_path / "photo.jpg")
    for form in ("onnxruntime-int8-ort", "openvino-int8-nncf"):
        artifact = finished_run / f"artifacts/small_cnn-{form}"
        arguments = ["edgeproof", "predict", str(artifact), str(tmp_path / "photo.jpg")]
        code = f"{BLOCK}\nsys.argv = {arguments!r}\nfrom distill.__main__ import main\nmain()"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert result.returncode == 0, result.stderr
        assert "probability of generated" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code"), [(["list"], 0), (["list", "students"], 2), (["run", "demo"], 2)]
)
def test_without_torch_the_command_line_says_what_to_install(arguments: list[str], code: int) -> None:
    script = f"{BLOCK}\nsys.argv = {['edgeproof', *arguments]!r}\nfrom distill.__main__ import main\nmain()"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == code, result.stderr
    assert "pip install" in result.stderr and "Traceback" not in result.stderr


def test_help_imports_nothing_heavy() -> None:
    heavy = ["torch", "numpy", "PIL", "pydantic", "openvino", "onnxruntime", "matplotlib", "sklearn", "scipy"]
    code = (
        "import sys; sys.argv = ['edgeproof', '--help']\n"
        "from distill.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"found = [name for name in {heavy!r} if name in sys.modules]\n"
        "sys.exit(f'--help imports {found}' if found else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def test_imports_go_one_way() -> None:
    subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def test_a_data_set_is_explored_and_checked_with_the_light_extra_alone(tmp_path: Path) -> None:
    """``edgeproof[data]``: no torch, no runtime, nothing that only training or timing needs."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 40, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        path = tmp_path / "set" / ("real", "fake")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    heavy = {
        *(
            "torch",
            "torchvision",
            "timm",
            "lightning",
            "onnx",
            "onnxruntime",
            "openvino",
            "nncf",
            "safetensors",
        ),
        *("psutil", "cpuinfo", "filelock", "tomli_w", "yaml"),
    }
    block = BLOCK.replace('{"torch", "torchvision", "timm", "lightning", "torchmetrics"}', repr(heavy))
    assert block != BLOCK
    for verb in (["inspect", "--report", "page.html"], ["audit"], ["inspect", "--json"]):
        arguments = ["edgeproof", "data", verb[0], "set", *verb[1:]]
        code = f"{block}\nsys.argv = {arguments!r}\nfrom distill.__main__ import main\nmain()"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
        assert "is blocked" not in done.stderr
    assert (tmp_path / "page.html").is_file()
