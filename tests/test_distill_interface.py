"""Distillation, export and quantization from Python, with modules and data of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import deploy
import distill
from deploy.artifact import read_manifest
from distill.errors import EdgeproofError
from distill.task import MultiClass
from distill.training.settings import TrainingSettings
from students import build_student

SPEC = distill.PreprocessSpec(size=32, policy="center_crop")
KNOBS = {"schedule": distill.Schedule(epochs=3, batch_size=16, learning_rate=1e-2), "preprocess": SPEC}


class Stripes(Dataset):
    """Noise, the darker the higher the label: anybody can learn it."""

    def __init__(self, classes: int, *, kind: str = "array", length: int = 120) -> None:
        self.classes, self.kind, self.length = classes, kind, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int):
        label = index % self.classes
        noise = np.random.default_rng(index).integers(0, 256, (40, 36, 3), dtype=np.uint8)
        pixels = (noise // (1 + label)).astype(np.uint8)
        if self.kind == "tensor":
            return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255, torch.tensor(label)
        return pixels, label


def net(outputs: int = 1, *, width: int = 16) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, outputs),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_a_dataset_to_an_int8_artifact(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher, student = distill.wrap(net(width=32), layers=["2"]), distill.wrap(net(), layers=["2"])
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    methods = [{"name": "soft_bce", "temperature": 4.0, "weight": 0.1}, {"name": "hint", "weight": 0.1}]
    found = distill.distil(
        teacher=teacher,
        student=student,
        data=Stripes(2, kind=kind),
        methods=methods,
        out=tmp_path / "run",
        **KNOBS,
    )
    assert found.student is student and not student.training
    assert set(found.history.epochs[0].train_parts) == {"labels", "soft_bce", "hint"}
    assert found.history.epochs[found.history.best_epoch - 1].valid_score > 0.95
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert (tmp_path / "run/weights.safetensors").is_file()
    fp32 = deploy.export(
        student, SPEC, out=tmp_path / "fp32", calibration=found.calibration, threshold=found.threshold
    )
    images = [Stripes(2)[index][0] for index in range(32)]
    folders = {
        tool: deploy.quantize(fp32, images, out=tmp_path / tool, tool=tool) for tool in ("nncf", "ort")
    }
    for tool, folder in folders.items():
        manifest = read_manifest(folder)
        assert (manifest.precision, manifest.quantizer.tool, manifest.quantizer.samples) == ("int8", tool, 32)
        detector = deploy.Detector.load(folder)
        right = [detector.predict(image).generated == bool(index % 2) for index, image in enumerate(images)]
        assert np.mean(right) > 0.9


def test_several_teachers_and_one_with_a_larger_view(tmp_path: Path) -> None:
    found = distill.distil(
        teacher={"a": net(), "b": net(width=24)}, student=net(), data=Stripes(2),
        methods=[{"name": "logit_mse", "teachers": ["a"]}, {"name": "soft_bce", "teachers": ["b"]}],
        teacher_preprocess=SPEC.model_copy(update={"size": 48}), **KNOBS,
    )  # fmt: skip
    assert set(found.history.epochs[0].train_parts) == {"labels", "logit_mse", "soft_bce"}


def test_k_classes_need_no_file_but_the_task(tmp_path: Path) -> None:
    task = MultiClass(("real", "one", "two"))
    torch.manual_seed(0)
    found = distill.distil(
        teacher=net(3, width=32),
        student=net(3),
        data=Stripes(3, length=180),
        methods=["kl"],
        task=task,
        **KNOBS,
    )
    assert found.history.metric == "accuracy" and found.history.epochs[-1].valid_score > 0.6  # chance: 0.33
    fp32 = deploy.export(
        found.student, SPEC, out=tmp_path / "fp32", calibration=found.calibration,
        threshold=found.threshold, task=task,
    )  # fmt: skip
    images = [Stripes(3)[index][0] for index in range(30)]
    int8 = deploy.quantize(fp32, images, out=tmp_path / "int8")
    detector = deploy.Detector.load(int8)
    said = [detector.predict(image) for image in images]
    assert read_manifest(int8).labels == task.labels
    assert all(sum(one.probabilities or ()) == pytest.approx(1.0) for one in said)
    assert np.mean([one.label == task.labels[index % 3] for index, one in enumerate(said)]) > 0.6


def test_alone_and_again_gives_the_same_weights() -> None:
    def weights(**options: object) -> torch.Tensor:
        torch.manual_seed(1)
        student = net()
        # the faster number format is measured anew in each folder, and a busy machine may measure otherwise
        settings = TrainingSettings(precision="fp32")
        distill.distil(student=student, data=Stripes(2, length=60), settings=settings, **KNOBS, **options)
        return student[0].weight.detach().clone()

    # without a teacher no method takes part that listens to one
    assert torch.equal(weights(), weights(methods=["hint"]))


def test_a_student_and_its_peer_need_no_teacher() -> None:
    torch.manual_seed(0)
    knobs = {**KNOBS, "schedule": distill.Schedule(epochs=1, batch_size=16)}
    found = distill.distil(student=net(), data=Stripes(2, length=60), methods=["mutual", "hint"], **knobs)
    assert set(found.history.epochs[0].train_parts) == {"labels", "mutual"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"methods": ["kl"]}, "identically zero for one logit"),
        ({"methods": ["distil"]}, "unknown distillation method"),
        ({"methods": ["hint"]}, "offers none; name its layers"),
        ({"methods": [{"name": "soft_bce", "weight": -1}]}, "methods: weight: given -1"),
        ({"methods": [{"weight": 1}]}, "methods: name: missing"),
        ({"methods": [{"name": "soft_bce", "teachers": ["big"]}]}, "listens to 'big'"),
        ({"student": net(2)}, "gives 2 logits, expected 1"),
        ({"student": build_student("small_cnn", num_logits=3)}, "SmallCNN gives 3 logits, expected 1"),
        ({"methods": [{"name": "mutual", "teachers": ["teacher"]}]}, "mutual: listens to no teacher"),
        ({"student": nn.Sequential(nn.Flatten(), nn.Linear(100, 1))}, "cannot take images of 32x32 pixels"),
        ({"teacher": net(3)}, "gives 3 logits, expected 1"),
        ({"data": [1, 2]}, "expected an image and a label"),
        ({"data": []}, "found no items"),
        ({"data": [("x", 0), ("y", 1)] * 20}, "expected a Pillow image"),
        ({"data": "no-such-folder"}, "no-such-folder"),
    ],
)
def test_bad_input_is_one_line(options: dict, says: str) -> None:
    given = {"teacher": net(), "student": net(), "data": Stripes(2, length=40), **KNOBS, **options}
    with pytest.raises(EdgeproofError, match=says) as caught:
        distill.distil(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tool": "tflite"}, "unknown quantizer 'tflite'"),
        ({"settings": {"presett": "mixed"}}, "presett"),
        ({"calibration": []}, "found 0, expected at least 1"),
        ({"calibration": "nowhere"}, "nowhere"),
        ({"artifact": "nowhere"}, "manifest.json"),
    ],
)
def test_bad_quantization_is_one_line(options: dict, says: str, tmp_path: Path) -> None:
    given = {
        "artifact": deploy.export(net(), SPEC, out=tmp_path / "fp32"),
        "calibration": [Stripes(2)[0][0]],
        **options,
    }
    with pytest.raises(EdgeproofError, match=says) as caught:
        deploy.quantize(given.pop("artifact"), given.pop("calibration"), out=tmp_path / "int8", **given)
    assert "\n" not in str(caught.value) and not (tmp_path / "int8").exists()


def test_an_alternating_list_longer_than_wanted_keeps_both_classes() -> None:
    from deploy import interface

    images = [np.full((32, 32, 3), 255 * (index % 2), np.uint8) for index in range(40)]
    found = interface._inputs(images, spec=SPEC, at_most=20)
    again = interface._inputs(images, spec=SPEC, at_most=20)
    means = [int(pixels.mean()) for pixels in found]
    assert len(found) == 20 and set(means) == {0, 255} and means == [int(pixels.mean()) for pixels in again]


def test_public_names_are_these() -> None:
    import bench

    assert set(distill.__all__) == {"Distilled", "PreprocessSpec", "Schedule", "distil", "run", "wrap"}
    assert set(deploy.__all__) == {"Detector", "export", "quantize"} and bench.__all__ == ["compare"]
    for package in (distill, deploy, bench):
        assert all(callable(getattr(package, name)) for name in package.__all__)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = package.nothing
