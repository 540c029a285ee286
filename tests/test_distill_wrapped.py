import copy
import pickle

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from deploy.onnx_graph import export_onnx
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.methods import Pair
from distill.methods.hint import Hint
from distill.methods.objective import Batch, Step
from distill.models import make_model, parts_of
from distill.preprocess import PreprocessSpec
from distill.probe import FeatureMap
from distill.probe import parts_of as parts_of_module
from distill.recipe import parse_recipe
from distill.roster import roster_of
from distill.task import BINARY, MultiClass
from distill.training.normalize import normalize
from distill.wrapped import Wrapped, wrap
from students import build_student
from students.options import OptionError
from students.output import ModelOutput


class Own(nn.Module):
    """A user's module that knows nothing of this project."""

    def __init__(self, classes=1, *, flat=False):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2)
        )
        self.unused = nn.Conv2d(3, 3, 1)
        self.head = nn.Linear(6, classes)
        self.flat = flat

    def forward(self, x):
        logits = self.head(self.body(x).mean((2, 3)))
        return logits[:, 0] if self.flat else logits


def images(count=2, *, size=32):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def failure(call, *arguments, **options):
    with pytest.raises(OptionError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("module", [Own(), Own(flat=True)], ids=["[N, 1]", "[N]"])
def test_a_plain_module_gets_logits_and_features(module):
    module.eval()
    wrapped = wrap(module, layers=["body.0", "body"], image_size=32)
    said = wrapped(images())
    assert isinstance(said, ModelOutput) and said.logits.shape == (2,)
    assert torch.equal(said.logits, module(images()).flatten())
    assert list(said.features) == ["body.0", "body"]
    assert torch.equal(said.features["body.0"], module.body[0](images()))
    assert torch.equal(said.features["body"], module.body(images()))
    assert wrapped.feature_channels == {"body.0": 4, "body": 6} and wrapped.num_logits == 1


def test_several_logits_stay_a_matrix():
    wrapped = wrap(Own(3).eval(), image_size=32)
    assert wrapped(images()).logits.shape == (2, 3)
    assert wrapped.num_logits == 3 and wrapped.feature_channels == {}


def test_a_module_of_torchvision():
    torch.manual_seed(0)
    network = resnet18(num_classes=1).eval()
    wrapped = wrap(network, layers=["layer1", "layer4.1.conv2"], image_size=64)
    assert wrapped.feature_channels == {"layer1": 64, "layer4.1.conv2": 512}
    said = wrapped(images(size=64))
    assert torch.equal(said.logits, network(images(size=64))[:, 0])
    assert said.features["layer1"].shape == (2, 64, 16, 16)


def test_channels_are_found_without_a_trace():
    """Neither the mode nor the statistics of batch norm change, nor does a gradient stay."""
    module = Own().train()
    module.body[1].eval()
    before = copy.deepcopy(module.state_dict())
    wrapped = wrap(module, layers=["body"], image_size=32)
    assert wrapped.feature_channels == {"body": 6}
    assert module.training and module.body[0].training and not module.body[1].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_what_has_features_of_its_own_is_left_as_it_is():
    student = build_student("small_cnn")
    assert wrap(student) is student
    assert failure(wrap, student, layers=["a"]) == "layers are ['a'], but SmallCNN names its own features"


def test_an_unknown_layer_lists_some():
    assert failure(wrap, Own(), layers=["boddy"]) == (
        "layer 'boddy' is not in Own; it has body, body.0, body.1, body.2, body.3, unused, head"
    )
    assert failure(wrap, resnet18(), layers=["layer9"]).endswith(", layer1.0.conv1, layer1.0.bn1, ...")


def test_a_layer_that_is_no_feature_map():
    wrapped = wrap(Own(), layers=["head"], image_size=32)
    with pytest.raises(
        OptionError, match=r"layer 'head' gives \[2, 1\], expected a feature map \[N, C, H, W\]"
    ):
        _ = wrapped.feature_channels


def test_a_layer_that_is_never_called():
    wrapped = wrap(Own(), layers=["body", "unused"])
    assert failure(wrapped, images()) == "layer 'unused' takes no part in Own's forward pass"


class Strange(nn.Module):
    def __init__(self, said):
        super().__init__()
        self.said = said

    def forward(self, x):
        return self.said(x)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (lambda x: x, "[2, 3, 32, 32]"),
        (lambda x: x.sum(), "[]"),
        (lambda x: {"logits": x}, "dict"),
        (lambda x: (x, x), "tuple"),
    ],
)
def test_what_are_no_logits(said, found):
    message = f"Strange gives {found}, expected logits [N], [N, 1] or [N, K]"
    assert failure(wrap(Strange(said)), images()) == message


def test_gradients_reach_the_module_through_its_features():
    wrapped = wrap(Own().train(), layers=["body.0"], image_size=32)
    hint = Hint(
        Pair(parts_of_module(wrapped, size=32).features, {"teacher": {"t": FeatureMap(5, 7, 4)}}),
        student_feature="body.0",
        teacher_feature="t",
    )
    said = {"teacher": ModelOutput(torch.zeros(2), {"t": torch.rand(2, 5, 7, 7)})}
    batch = Batch(images(), torch.zeros(2), torch.zeros(2, 4), torch.arange(2), said)
    hint(wrapped(batch.images), batch, Step(0, 1, 0)).backward()
    module = wrapped.module
    assert module.body[0].weight.grad.abs().sum() > 0 and module.head.weight.grad is None
    copy.deepcopy(wrapped), pickle.dumps(wrapped)  # what the hooks caught is gone by now


@pytest.mark.parametrize("again", [copy.deepcopy, lambda wrapped: pickle.loads(pickle.dumps(wrapped))])
def test_a_copy_has_hooks_of_its_own(again):
    one = wrap(Own().eval(), layers=["body"], image_size=32)
    other = again(one)
    with torch.no_grad():
        other.module.body[3].weight.zero_()
    first, second = one(images()), other(images())
    assert first.features["body"].std() > 0 and second.features["body"].std(dim=(2, 3)).max() == 0
    assert torch.equal(one(images()).features["body"], first.features["body"])
    assert set(other.state_dict()) == set(one.state_dict())
    assert set(one.state_dict()) == {f"module.{name}" for name in one.module.state_dict()}


@pytest.mark.parametrize(("classes", "task"), [(1, BINARY), (3, MultiClass(("real", "gan", "diffusion")))])
def test_a_wrapped_module_is_exported(tmp_path, classes, task):
    spec = PreprocessSpec(size=32)
    torch.manual_seed(0)
    wrapped = wrap(Own(classes).eval(), layers=["body.0", "body"], image_size=32)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    calibration = Calibration(temperature=2.0)
    export_onnx(wrapped, preprocess=spec, calibration=calibration, task=task, path=tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    probability, logit = session.run(None, {"image": pixels})
    with torch.no_grad():
        raw = wrapped(normalize(torch.from_numpy(pixels), spec=spec)).logits.numpy()
    np.testing.assert_allclose(logit, raw / 2, atol=1e-5)
    np.testing.assert_allclose(probability, task.probabilities(raw, calibration=calibration), atol=1e-5)
    assert wrapped(images()).features.keys() == {"body.0", "body"}, "the hooks work as before"


# by a recipe

OWN = """
from torch import nn

class Plain(nn.Module):
    def __init__(self, width: int = 4, classes: int = 1):
        super().__init__()
        self.body = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

def asks(num_logits: int = 1, **options):
    return Plain(classes=num_logits, **options)

def unwritten(width=4):
    return Plain(width)

def strange(width: "int" = 4, *, norm: nn.Module | None = None, kind: type[nn.Module] = nn.Identity):
    return Plain(width)
"""


def built(**settings):
    values = {"name": "mine", "data": {"path": "photos"}, "students": {"own": settings}}
    recipe = parse_recipe(values, origin="")
    model = roster_of(recipe).distilled[0]
    return parts_of(recipe, model), make_model(recipe, model)


def shapes(parts):
    return {name: tuple(value) for name, value in parts.features.items()}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's beside the recipe."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return name


def test_a_recipe_names_a_module_of_the_users_own(own):
    parts, network = built(name=f"{own}:Plain", options={"width": 7}, layers=["body"])
    assert shapes(parts) == {"body": (7, 222, 1)} and isinstance(network, Wrapped)
    assert network(images()).logits.shape == (2,)


@pytest.mark.parametrize("factory", ["asks", "unwritten", "strange"])
def test_a_factory_that_says_less_of_what_it_takes(own, factory):
    """It hands keywords on, or its arguments have no type, one that is a text, or one that is no plain value."""
    parts, _ = built(name=f"{own}:{factory}", options={"width": 5}, layers=["body"])
    assert shapes(parts) == {"body": (5, 222, 1)}


def test_a_module_of_torchvision_by_its_name():
    parts, network = built(name="torchvision.models:resnet18", options={"num_classes": 1}, layers=["layer2"])
    assert shapes(parts) == {"layer2": (128, 28, 8)} and network(images(size=64)).logits.shape == (2,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": {"classes": 3}}, "students.own: {own}:Plain gives 3 logits, expected 1"),
        (
            {"options": {"widht": 3}},
            "students.own: student {own}:Plain: unknown option 'widht'; choose one of: width, classes",
        ),
        ({"layers": ["stem"]}, "students.own: layer 'stem' is not in Plain; it has body, head"),
        (
            {"layers": ["head"]},
            "students.own: layer 'head' gives [2, 1], expected a feature map [N, C, H, W]",
        ),
    ],
)
def test_what_does_not_fit_names_the_recipes_section(own, settings, message):
    with pytest.raises(EdgeproofError) as caught:
        built(name=f"{own}:Plain", **settings)
    assert str(caught.value) == message.format(own=own)
