"""``edgeproof compare-methods`` from end to end: other lessons for the same student, judged against it alone."""

import json
from pathlib import Path

import pytest
from cli import edgeproof

from bench.records.accuracy import AccuracyRecord
from bench.records.distillation import Distillation
from bench.report.methods import by_gain, methods

TINY = Path(__file__).parent / "tiny.toml"
VARIANTS = """
[distillation.variants]
logit_mse = { methods = [{ name = "logit_mse", weight = 0.1 }] }
label_smoothing = { label_weight = 0.0, methods = [{ name = "label_smoothing" }] }
"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    recipe = folder / "recipe-with-variants.toml"
    text = TINY.read_text()
    for section in (
        '[quantization.ort]\nform = "plain"\nsamples = 16\n',
        "[quantization.nncf]\nsamples = 16\n",
    ):
        assert section in text
        text = text.replace(section, "")
    recipe.write_text(text.replace("samples = 24", "samples = 0") + VARIANTS + "[quantization]\n")
    result = edgeproof("compare-methods", recipe, "--out", folder / "run")
    assert result.returncode == 0, result.stderr
    assert "tiny: methods" not in result.stdout and "small_cnn: methods" in result.stdout
    (folder / "stdout.txt").write_text(result.stdout)
    return folder


@pytest.fixture(scope="module")
def found(compared: Path) -> Distillation:
    return AccuracyRecord.read(compared / "run/accuracy.json").distillation["small_cnn"]


def test_every_lesson_is_an_arm_with_all_seeds(found: Distillation) -> None:
    assert [arm.arm for arm in found.arms] == ["distilled", "logit_mse", "label_smoothing", "alone"]
    assert all(len(arm.seeds) == 2 for arm in found.arms)
    assert found.variants == ("logit_mse", "label_smoothing") and found.controls == ("alone",)


def test_variants_are_judged_against_alone_and_the_deployed_lesson(found: Distillation) -> None:
    pairs = {(c.arm, c.against) for c in found.comparisons}
    assert pairs == {
        ("distilled", "alone"),
        *((variant, other) for variant in found.variants for other in ("alone", "distilled")),
    }
    assert found.pairs == (("distilled", "alone"),)


def test_the_deployed_student_alone_is_exported_and_nothing_is_timed(compared: Path) -> None:
    run = compared / "run"
    assert {path.name.split("-")[0] for path in (run / "artifacts").iterdir()} == {"teacher", "small_cnn"}
    assert not (run / "bench.json").is_file()
    assert {path.name for path in (run / "students/small_cnn/seed0").iterdir()} == {
        "distilled", "logit_mse", "label_smoothing", "alone",
    }  # fmt: skip


def test_the_table_is_sorted_by_the_test_split(found: Distillation) -> None:
    means = [arm.spread("test", "auc").mean for arm in by_gain(found)]  # type: ignore[union-attr]
    assert means == sorted(means, reverse=True) and len(means) == 3
    table = methods("small_cnn", found)
    assert table and [row[0] for row in table.rows] == [arm.arm for arm in by_gain(found)]
    [strong] = table.strong
    assert table.rows[strong][0] == "distilled"


def test_report_and_terminal_show_the_methods(compared: Path) -> None:
    markdown = (compared / "run/report.md").read_text()
    assert "small_cnn: methods beside each other" in markdown and "methods_small_cnn.png" in markdown
    assert (compared / "run/plots/methods_small_cnn.png").is_file()
    shown = (compared / "stdout.txt").read_text()
    assert all(name in shown for name in ("logit_mse", "label_smoothing", "Over alone", "report.html"))


def test_a_second_call_does_nothing_again_and_prints_json(compared: Path) -> None:
    before = json.loads((compared / "run/stages.json").read_text())["stages"]
    result = edgeproof("compare-methods", compared / "run", "--json")
    assert result.returncode == 0, result.stderr
    assert [arm["arm"] for arm in json.loads(result.stdout)["students"]["small_cnn"]["arms"]][
        0
    ] == "distilled"
    after = json.loads((compared / "run/stages.json").read_text())["stages"]
    trained = {name for name in before if name.startswith("student:")}
    assert len(trained) == 8 and all(before[name] == after[name] for name in trained)


def test_a_recipe_without_variants_is_refused() -> None:
    result = edgeproof("compare-methods", TINY)
    assert result.returncode == 2
    assert "distillation.variants: found none, expected a section" in result.stderr
