import os
import subprocess
import sys

import onnx
import pytest
import torch
from torch import nn

from deploy.onnx_graph import export_onnx
from distill.evaluation.calibration import Calibration
from distill.preprocess import PreprocessSpec
from distill.task import BINARY
from distill.wrapped import deployed_form
from students import OptionError, build_student
from students.rep_cnn import RepCNN, RepConv

BRANCHES = ["plain", "repvgg", "qarepvgg"]


@pytest.fixture
def images():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def trained(images, **options):
    """A net whose statistics, scales and shifts are not those of a fresh one."""
    torch.manual_seed(0)
    model = RepCNN(widths=(32, 48), depths=(2, 1), **options)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    for _ in range(3):
        model.train()(images * 2 + 0.5)
    return model


@pytest.mark.parametrize("stem", ["conv", "patch4"])
@pytest.mark.parametrize("branches", BRANCHES)
def test_the_deployed_form_says_the_same_to_1e_5(branches, stem, images):
    model = trained(images, branches=branches, stem=stem).eval()
    expected, found = model(images), model.deployed()(images)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)
    for name in expected.features:
        torch.testing.assert_close(found.features[name], expected.features[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("branches", BRANCHES)
def test_the_deployed_form_is_a_plain_stack(branches, images):
    model = trained(images, branches=branches)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = deployed_form(model)
    kinds = {type(m) for m in plain.modules() if not list(m.children())}
    assert kinds == {nn.Conv2d, nn.ReLU, nn.Dropout, nn.Linear}
    assert {m.kernel_size for m in plain.modules() if isinstance(m, nn.Conv2d)} == {(3, 3)}
    assert not plain.training and model.training  # the model itself is left as it was
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_one_block_by_hand():
    # dense 2, point 3, identity 1 in the centre; norms are the identity but for the last: (x - 1) / 2
    block = RepConv(16, 16, stride=1, branches="qarepvgg").eval()
    centre = torch.eye(16).reshape(16, 16, 1, 1)
    block.dense.weight.data.zero_()[:, :, 1:2, 1:2] = 2 * centre
    block.point.weight.data.copy_(3 * centre)
    for norm in (block.dense_norm, block.norm):
        norm.eps = 0.0
    block.norm.running_mean.fill_(1.0)
    block.norm.running_var.fill_(4.0)
    x = torch.full((1, 16, 5, 5), 0.5)
    assert torch.allclose(block(x), torch.full_like(x, (6 * 0.5 - 1) / 2))
    assert torch.allclose(block.fused()(x), block(x))
    assert torch.equal(block.fused()[0].weight[3, 3], torch.tensor([[0, 0, 0], [0, 3.0, 0], [0, 0, 0]]))


def test_branches_train_and_a_plain_net_has_none(images):
    counts = {
        b: sum(p.numel() for p in RepCNN(depths=(2, 1, 1, 1), branches=b).parameters()) for b in BRANCHES
    }
    assert counts["plain"] < counts["qarepvgg"] < counts["repvgg"]
    model = trained(images, branches="repvgg")
    model(images).logits.sum().backward()
    side = model.stages["stage1"][1]
    assert side.identity and side.point.weight.grad.abs().sum() > 0
    assert side.identity_norm.weight.grad.abs().sum() > 0


def test_strides_follow_the_stem(images):
    sides = {
        stem: [
            f.shape[-1] for f in RepCNN(stem=stem, widths=(16, 16), depths=(1, 2))(images).features.values()
        ]
        for stem in ("conv", "patch4")
    }
    assert sides == {"conv": [16, 8, 4], "patch4": [8, 4, 2]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"widths": [32, 64], "depths": [1]},
            r"widths are \[32, 64\] and depths \[1\], expected one of each",
        ),
        ({"widths": [], "depths": []}, "expected one of each for every stage"),
        ({"widths": [20]}, "option widths.0 is 20, expected a multiple of 16"),
        ({"branches": "ghost"}, "option branches is 'ghost'"),
        ({"stem": "patch3"}, "option stem is 'patch3'"),
    ],
)
def test_options_that_make_no_net(options, message):
    with pytest.raises(OptionError, match=message):
        build_student("rep_cnn", options=options)


@pytest.mark.parametrize("branches", ["repvgg", "qarepvgg"])
def test_the_exported_file_has_one_convolution_a_block(branches, images, tmp_path):
    model = trained(images, branches=branches)
    export_onnx(
        model,
        preprocess=PreprocessSpec(size=32),
        calibration=Calibration(),
        task=BINARY,
        path=tmp_path / "m.onnx",
    )
    kinds = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert kinds.count("Conv") == 4 and kinds.count("Add") == 0 and "BatchNormalization" not in kinds
    assert model.training and any(isinstance(m, RepConv) for m in model.modules())


TRAINS_IN_FP32 = """
import torch
from students.rep_cnn import RepConv
torch.set_num_threads(1)
block = RepConv(3, 16, stride=2, branches={branches!r}).to(memory_format=torch.channels_last)
for _ in range(12):
    images = torch.randn(64, 3, 64, 64).to(memory_format=torch.channels_last)
    block(images).square().sum().backward()
"""


@pytest.mark.parametrize("branches", ["repvgg", "qarepvgg"])
def test_the_stem_trains_in_fp32_without_harming_memory(branches):
    """Torch's 1×1 convolution with stride 2 over 3 channels writes beyond its buffers, which kills the process."""
    code = TRAINS_IN_FP32.format(branches=branches)
    environment = {**os.environ, "MALLOC_CHECK_": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
