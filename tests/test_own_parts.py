"""Parts of a user's own, each one file outside the project, in a real run with real processes."""

import json
import shutil
from pathlib import Path

import pytest
from cli import edgeproof, one_line_error
from test_distill_reads import Recording, undeclared

from distill.cli.run import all_stages
from distill.pipeline.stage import Run
from distill.recipe import load_recipe

RECIPE = """
name = "own"
[data]
path = "{data}"
layout = "simulated"
[preprocess]
size = 32
policy = "center_crop"
[teacher]
options = {{ backbone = "test_efficientnet", fpn_channels = 16, levels = 2 }}
epochs = 1
batch_size = 32
[teachers.large]
name = "timm:test_resnet"
preprocess = {{ size = 48, policy = "center_crop" }}
source = "online"
epochs = 1
batch_size = 32
[students.net]
name = "own_parts:Net"
options = {{ width = 32 }}
layers = ["2", "4"]
epochs = 2
batch_size = 32
[distillation]
methods = [
    {{ name = "own_parts:Cubed", teachers = ["large"], power = 2 }},
    {{ name = "own_parts:Bank", momentum = 0.25 }},
]
[quantization.own]
tool = "own_parts:QUANTIZER"
samples = 16
[quantization.again]
tool = "ort"
samples = 8
calibration = "percentile"
form = "plain"
[bench]
like_for_like_size = 32
[degradations]
samples = 0
[gates]
accept = ["metadata", "file_bytes"]
"""


@pytest.fixture(scope="module")
def own_run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything up to the parity gate, from a folder that holds the user's module and recipe."""
    home = tmp_path_factory.mktemp("own")
    shutil.copy(Path(__file__).parent / "own_parts.py", home)
    (home / "own.toml").write_text(RECIPE.format(data=finished_run / "data" / "simulated"))
    result = edgeproof("verify", "own.toml", "--out", "run", cwd=home, root=True)
    assert result.returncode == 0, result.stderr
    return home


def test_the_users_parts_were_used(own_run: Path) -> None:
    history = json.loads((own_run / "run/students/net/seed0/distilled/history.json").read_text())
    assert {"cubed", "bank", "labels"} == set(history["epochs"][0]["train_parts"])
    folders = {folder.name for folder in (own_run / "run/artifacts").iterdir()}
    assert {"net-onnxruntime-int8-own", "net-onnxruntime-int8-again", "net-openvino-fp32"} <= folders
    manifests = {
        name: json.loads((own_run / f"run/artifacts/net-onnxruntime-int8-{name}/manifest.json").read_text())
        for name in ("own", "again")
    }
    assert manifests["own"]["quantizer"]["tool"] == "own" and manifests["own"]["quantizer"]["samples"] == 16
    assert manifests["again"]["quantizer"]["settings"]["calibration"] == "percentile"
    assert json.loads((own_run / "run/parity.json").read_text())["passed"]


def test_the_large_teacher_saw_its_own_view(own_run: Path) -> None:
    about = json.loads((own_run / "run/teachers/large/weights.json").read_text())
    assert about["preprocess"]["size"] == 48
    assert not (own_run / "run/teachers/large/outputs.safetensors").exists()  # it was asked at every step
    assert (own_run / "run/teacher/outputs.safetensors").is_file()


def test_the_resolved_recipe_names_the_users_parts(own_run: Path) -> None:
    text = (own_run / "run/recipe.toml").read_text()
    assert "own_parts:Net" in text and "own_parts:Bank" in text and "momentum" in text
    again = edgeproof("verify", "run", cwd=own_run, root=True)
    assert again.returncode == 0 and "  done " not in again.stderr, again.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('students.net.name="own_parts:Nett"', "cannot be imported"),
        ('students.net.name="nowhere:Net"', "cannot be imported"),
        ('students.net.layers=["9"]', "layer '9' is not in Net"),
        ("students.net.options={depth=3}", "unknown option 'depth'"),
        ('distillation.methods=[{name="own_parts:Cubed", power=9}]', "option power is 9"),
        ('distillation.methods=[{name="own_parts:Cubed", teachers=["big"]}]', "listens to 'big'"),
        ('quantization.own.tool="own_parts:NOTHING"', "cannot be imported"),
        ("quantization.again.percentil=9", "percentil"),
        ('quantization.own.tool="own_parts:Net"', "expected a Quantizer"),
        ('distillation.methods=[{name="own_parts:Net"}]', "own_parts:Net"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(own_run: Path, change: str, says: str) -> None:
    message = one_line_error(
        edgeproof("run", "own.toml", "--out", "other", "--set", change, cwd=own_run, root=True)
    )
    assert says in message
    assert not (own_run / "other").exists()


def test_a_module_that_cannot_be_timed_is_refused_before_it_is_trained(own_run: Path) -> None:
    changes = ['students.net.name="own_parts:Fixed"', "students.net.layers=[]", "students.net.options={}"]
    changes += ['distillation.methods=[{name="own_parts:Cubed"}]']
    given = [part for change in changes for part in ("--set", change)]
    assert edgeproof("run", "own.toml", *given, "--dry-run", cwd=own_run, root=True).returncode == 0
    given += ["--set", "bench.like_for_like_size=48", "--out", "other"]
    message = one_line_error(edgeproof("run", "own.toml", *given, cwd=own_run, root=True))
    assert "cannot take images of 48x48 pixels" in message and "like_for_like_size" in message
    assert not (own_run / "other").exists()


def test_their_stages_read_what_they_declare(own_run: Path, tmp_path: Path, monkeypatch) -> None:
    """With augmented views, a cached teacher that sees them, and one that is asked at every step and sees clean ones."""
    monkeypatch.chdir(own_run)  # where the module is found
    run = Path(shutil.copytree(own_run / "run", tmp_path / "run"))
    changes = ["teachers.large.sees=clean", "augmentation.jpeg.probability=0.5", "training.views=3"]
    recipe = load_recipe(str(run / "recipe.toml"), overrides=changes)
    stages = {stage.name: stage for stage in all_stages(recipe)}
    for stage in stages.values():
        if stage.verb in ("teach", "distill"):
            touched: set[str] = set()
            stage.run(Run(folder=run, recipe=Recording(recipe, "", touched)), lambda done, total: None)
            assert not undeclared(stage, stages, touched), stage.name
