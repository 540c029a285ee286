"""Networks of libraries by their names, as students and teachers of a recipe."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from distill.errors import EdgeproofError
from distill.models import make_model, parts_of, skeleton_of
from distill.recipe import Recipe, parse_recipe
from distill.roster import Model, roster_of
from students.options import OptionError
from students.torchvision_classifier import torchvision_classifier

SQUEEZENET = "torchvision:squeezenet1_1"


def recipe_and_student(**student: object) -> tuple[Recipe, Model]:
    values = {
        "name": "r", "data": {"path": "photos"}, "preprocess": {"size": 64}, "students": {"s": student},
    }  # fmt: skip
    recipe = parse_recipe(values, origin="")
    return recipe, roster_of(recipe).distilled[0]


@pytest.mark.parametrize(
    ("name", "layers", "channels"),
    [
        (SQUEEZENET, ["features.4", "features"], {"features.4": 128, "features": 512}),
        ("timm:test_resnet", [], {"stage1": 32, "stage2": 48, "stage3": 192, "stage4": 96}),
    ],
)
def test_a_student_of_a_library(name: str, layers: list[str], channels: dict[str, int]) -> None:
    recipe, student = recipe_and_student(name=name, layers=layers)
    found = {layer: value.channels for layer, value in parts_of(recipe, student).features.items()}
    assert found == channels
    assert all(parameter.is_meta for parameter in skeleton_of(recipe, student).parameters())
    said = make_model(recipe, student).eval()(torch.zeros(2, 3, 64, 64))
    assert said.logits.shape == (2,) and list(said.features) == list(channels)


def test_a_teacher_of_torchvision() -> None:
    values = {
        "name": "r", "data": {"path": "photos"}, "students": {"s": {"name": "small_cnn"}},
        "teacher": {"name": SQUEEZENET}, "task": {"kind": "multiclass", "labels": ["a", "b", "c"]},
    }  # fmt: skip
    recipe = parse_recipe(values, origin="")
    assert parts_of(recipe, roster_of(recipe).teachers[0]).logits == 3


@pytest.mark.parametrize(
    ("student", "says"),
    [
        ({"name": "torchvision:squeezenet"}, r"students\.s: unknown torchvision model 'squeezenet'; close matches: squ"),
        ({"name": "torchvision:zzzzzzzz"}, r"torchvision\.models\.list_models\(\) lists them"),
        ({"name": SQUEEZENET, "options": {"wide": 1}}, r"unknown option 'wide'; choose one of: image_size, weights"),
        ({"name": SQUEEZENET, "options": {"image_size": 64}}, r"torchvision model squeezenet1_1: cannot be built \("),
        ({"name": "squeezenet"}, r"unknown student 'squeezenet'; choose one of: .*timm:<name>, torchvision:<name>"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(student: dict, says: str) -> None:
    with pytest.raises(EdgeproofError, match=says) as caught:
        make_model(*recipe_and_student(**student))
    assert "\n" not in str(caught.value)


def test_local_weights_may_have_another_classifier(tmp_path) -> None:
    torch.manual_seed(1)
    source = torchvision.models.squeezenet1_1(num_classes=7)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    model = torchvision_classifier("squeezenet1_1", weights=tmp_path / "w.safetensors")
    assert torch.equal(model.features[0].weight, source.features[0].weight)
    assert model.classifier[1].weight.shape[0] == 1
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(OptionError, match=r"does not fit SqueezeNet, features\.0\.weight has \[1\]"):
        torchvision_classifier("squeezenet1_1", weights=tmp_path / "w.safetensors")


def test_a_second_classifier_is_left_out() -> None:
    """Of the two that have one: it answers while they train, where one tensor of logits is expected."""
    from students.torchvision_classifier import _MORE

    assert set(_MORE) == {"googlenet", "inception_v3"}
    model = torchvision_classifier("googlenet").train()
    assert model.aux1 is None and model(torch.zeros(2, 3, 64, 64)).shape == (2, 1)
