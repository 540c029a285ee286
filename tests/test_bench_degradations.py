"""The sweep's second half: numbers by hand, from outputs that are written here."""

import json

import numpy as np
import pytest

from bench.degradations import evaluate
from deploy.stages.degradations import OUTPUTS
from distill.data.samples import Dataset, Sample
from distill.files import write_json
from distill.pipeline.runfolder import save_dataset, save_predictions
from distill.pipeline.stage import Run
from distill.recipe import parse_recipe

RECIPE = {
    "name": "mine",
    "data": {"path": "photos"},
    "students": {"small": {"name": "small_cnn"}},
    "quantization": {"quantizers": ["ort_qdq"]},
}
NAMES = ("clean", "jpeg30", "jpeg95_fakes")
THRESHOLDS = {"teacher": 0.5, "small": 0.4, "small/control": 0.5}
# test images 1 to 4 of five: real, generated, real, generated
TEACHER = [[0.1, 0.9, 0.2, 0.8], [0.1, 0.6, 0.7, 0.8], [0.1, 0.3, 0.2, 0.4]]
INT8 = [[0.1, 0.9, 0.2, 0.45], [0.1, 0.6, 0.7, 0.4], [0.1, 0.3, 0.2, 0.4]]


def written(folder, *, labels=(0, 0, 1, 0, 1), **changes):
    probabilities = {
        name: TEACHER for name in ("teacher", "small", "small/control", "small-onnxruntime-int8")
    }
    probabilities |= {"teacher-onnxruntime-int8": INT8, **changes}
    samples = tuple(
        Sample(path=f"{i}.png", label=label, split="test", group=f"scene{i // 2}")
        for i, label in enumerate(labels)
    )
    save_dataset(Dataset(root=folder, layout="class_folders", samples=samples), folder)
    arrays = {f"model/{name}": np.array(values) for name, values in probabilities.items()}
    chosen = {"samples": np.array([1, 2, 3, 4]), "degradations": np.array(NAMES)}
    save_predictions(folder / OUTPUTS, {**chosen, **arrays})
    for model, threshold in THRESHOLDS.items():
        place = "teacher" if model == "teacher" else f"students/{model}"
        write_json(folder / place / "choice.json", {"threshold": threshold})
    return Run(folder=folder, recipe=parse_recipe(RECIPE, origin=""))


@pytest.fixture
def found(tmp_path):
    told = []
    content = evaluate(written(tmp_path), lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    return content


def test_images_and_degradations_are_described(found):
    assert found["images"] == {"n": 4, "n_real": 2, "n_fake": 2, "groups": 3, "of": 5}
    assert found["simulated"] is False
    assert [item["name"] for item in found["degradations"]] == list(NAMES)
    assert found["degradations"][1] == {
        "name": "jpeg30", "family": "JPEG quality", "strength": "30", "generated_only": False,
    }  # fmt: skip


def test_a_models_numbers_by_hand(found):
    teacher = found["models"]["teacher"]
    assert (teacher["kind"], teacher["runtime"], teacher["threshold"]) == ("teacher", "torch", 0.5)
    clean, worse, flipped = (teacher["degradations"][name] for name in NAMES)
    assert (clean["auc"], clean["tpr"], clean["tnr"], clean["balanced_accuracy"]) == (1, 1, 1, 1)
    assert (clean["auc_change"], clean["auc_change_ci"], clean["flips"]["count"]) == (0, [0, 0], 0)
    assert worse["auc"] == 0.75 and worse["auc_change"] == -0.25  # 0.7 real above 0.6 generated
    assert (worse["tpr"], worse["tnr"]) == (1, 0.5)
    assert worse["balanced_accuracy"] == 0.75 and worse["balanced_accuracy_change"] == -0.25
    assert worse["flips"] == {"count": 1, "share": 0.25}
    # the scores keep their order and all verdicts are wrong: what only a frozen threshold shows
    assert (flipped["auc"], flipped["tpr"], flipped["tnr"]) == (1, 0, 1)
    assert flipped["balanced_accuracy_change"] == -0.5 and flipped["flips"]["count"] == 2


def test_each_model_keeps_its_own_frozen_threshold(found):
    models = found["models"]
    assert {name: model["threshold"] for name, model in models.items()} == {
        "teacher": 0.5, "small": 0.4, "small/control": 0.5,
        "teacher-onnxruntime-int8": 0.5, "small-onnxruntime-int8": 0.4,
    }  # fmt: skip
    assert models["small"]["degradations"]["jpeg95_fakes"]["tpr"] == 0.5  # 0.4 is enough for it
    assert models["small-onnxruntime-int8"]["student"] == "small"
    assert models["teacher-onnxruntime-int8"]["student"] is None


def test_steps_are_compared_under_every_degradation(found):
    steps = {(entry["what"], entry["a"], entry["b"]): entry["degradations"] for entry in found["comparisons"]}
    assert set(steps) == {
        ("distillation", "small", "small/control"),
        ("size", "small", "teacher"),
        ("int8", "teacher-onnxruntime-int8", "teacher"),
        ("int8", "small-onnxruntime-int8", "small"),
    }
    int8 = steps["int8", "teacher-onnxruntime-int8", "teacher"]
    assert [int8[name]["flips"]["count"] for name in NAMES] == [1, 1, 0]
    # AUC 1 and 1; 2 of 4 pairs against 3; equal scores
    assert [int8[name]["auc_difference"] for name in NAMES] == pytest.approx([0, -0.25, 0])
    same = steps["size", "small", "teacher"]["jpeg95_fakes"]
    assert (
        same["auc_difference"] == 0 and same["flips"]["count"] == 1
    )  # 0.4 is generated to one of them alone


def test_one_class_gives_no_auc_but_rates(tmp_path):
    content = evaluate(written(tmp_path, labels=(0, 1, 1, 1, 1)), lambda done, total: None)
    cell = content["models"]["teacher"]["degradations"]["jpeg30"]
    assert (cell["auc"], cell["auc_change"], cell["auc_change_ci"], cell["tnr"]) == (None, None, None, None)
    assert cell["tpr"] == 0.75 and cell["balanced_accuracy_change"] is None
    json.dumps(content, allow_nan=False)


def test_the_finished_run_was_judged(finished_run):
    content = json.loads((finished_run / "degradations.json").read_text())
    accuracy = json.loads((finished_run / "accuracy.json").read_text())["models"]
    assert content["simulated"] and content["images"]["n"] == 24
    assert set(content["models"]) < set(accuracy)
    for name, model in content["models"].items():
        same = ("kind", "student", "runtime", "precision", "threshold")
        assert {key: model[key] for key in same} == {key: accuracy[name][key] for key in same}
        assert len(model["degradations"]) == 16
