"""Which layers train when, and how fast: the head first, then everything, slower near the image."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from training_fixture import (
    TinyNet,
    network,
    train,
    training_data,
)

from distill.check_task import task_problems
from distill.errors import EdgeproofError
from distill.recipe import Schedule, load_recipe
from distill.roster import roster_of
from distill.training.head import Backbone, head_of
from distill.training.layer_decay import layer_scales
from distill.training.optimizer import make_optimizer
from students import STUDENTS
from teachers import TEACHERS, build_teacher


@pytest.fixture(scope="module")
def data():
    return training_data()


# the frozen backbone


def test_the_head_alone_trains_at_first(data, tmp_path):
    start = network()
    train(tmp_path / "frozen", data, model=copy.deepcopy(start), epochs=2, frozen_epochs=2)
    saved = load_file(tmp_path / "frozen" / "last.safetensors")
    moved = {name for name, value in start.state_dict().items() if not torch.equal(saved[name], value)}
    assert moved == {"head.weight", "head.bias"}


def test_then_everything_trains(data, tmp_path):
    start, model = network(), network()
    train(tmp_path, data, model=model, epochs=3, frozen_epochs=1)
    saved = load_file(tmp_path / "last.safetensors")
    assert all(not torch.equal(saved[name], value) for name, value in start.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert saved["norm.num_batches_tracked"].item() == 8  # of twelve: in evaluation mode at first


def test_what_was_frozen_by_its_owner_stays_so():
    model = TinyNet()
    model.convolution.requires_grad_(False)
    backbone = Backbone(model)
    backbone.freeze()
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    assert model.training and model.head.training and not model.norm.training and not model.dropout.training
    backbone.thaw()
    assert not model.convolution.weight.requires_grad and model.norm.weight.requires_grad
    assert model.norm.training and model.dropout.training


@pytest.mark.parametrize(
    ("name", "head"),
    [("small_cnn", "classifier"), ("mobilenet_v2", "network.classifier"), ("resnet18", "network.fc")],
)
def test_the_heads_of_the_students(name, head):
    model = STUDENTS[name]()
    assert head_of(model) is model.get_submodule(head)


def test_the_heads_of_the_teachers():
    from teachers import build_teacher

    options = {"backbone": "test_efficientnet", "fpn_channels": 16, "levels": 2}
    model = TEACHERS["efficientnet_fpn_cbam"](**options)
    assert head_of(model) is model.classifier
    timm = build_teacher("timm:test_resnet")
    assert head_of(timm) is timm.network.fc


def test_a_module_without_a_head_is_refused(data, tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 1, 1))
    with pytest.raises(EdgeproofError) as caught:
        train(tmp_path, data, model=model, frozen_epochs=1)
    assert str(caught.value) == (
        "frozen_epochs: Sequential has no submodule called classifier, fc or head, expected one that can train alone"
    )


def test_layers_nearer_to_the_image_learn_more_slowly():
    network = build_student_of_timm()
    schedule = Schedule(layer_decay=0.5, learning_rate=1.0)
    scales = layer_scales(network, decay=0.5)
    optimizer = make_optimizer(network.parameters(), schedule=schedule, scales=scales)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    inner = network.network
    order = [
        inner.patch_embed.proj.weight,
        inner.blocks[0].mlp.fc1.weight,
        inner.blocks[1].mlp.fc1.weight,
        inner.head.weight,
    ]
    found = [rates[id(parameter)] for parameter in order]
    assert found[-1] == 1.0 and found[2] == found[1] * 2 and found[0] < found[1] < found[2] < 1.0
    assert len(rates) == len(list(network.parameters()))
    decays = {group["weight_decay"] for group in optimizer.param_groups if group["lr"] < 1}
    assert decays == {0.0, schedule.weight_decay}


def build_student_of_timm():
    return build_teacher("timm:test_vit", options={"image_size": 64})


def test_a_network_without_an_order_of_layers_is_refused():
    recipe = load_recipe("demo", overrides=["students.rep_cnn.layer_decay=0.7"])
    [problem] = [str(found) for found in task_problems(recipe, roster_of(recipe))]
    assert problem == (
        "students.rep_cnn.layer_decay: RepCNN does not tell the order of its layers, expected a network of timm"
    )
