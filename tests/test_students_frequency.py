import numpy as np
import onnxruntime
import pytest
import torch
from scipy.fft import dctn

from students.frequency import FrequencyBranch, dct_basis
from students.rep_cnn import RepCNN
from students.small_cnn import SmallCNN
from teachers import build_teacher


def test_the_basis_is_scipys_orthonormal_dct():
    block = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    ours = (dct_basis(8)[:, 0].numpy() * block).sum((1, 2)).reshape(8, 8)
    np.testing.assert_allclose(ours, dctn(block, norm="ortho"), atol=1e-5)


def test_the_basis_is_orthonormal():
    rows = dct_basis(8).reshape(64, 64)
    torch.testing.assert_close(rows @ rows.T, torch.eye(64), atol=1e-6, rtol=0)


def test_a_checkerboard_stands_out_where_its_frequency_is():
    branch = FrequencyBranch().eval()
    checkerboard = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16).expand(1, 3, 32, 32)
    found = branch(checkerboard)[0].reshape(8, 8)
    assert found.argmax() == 63  # the highest frequency in both directions
    assert found[7, 7] > found[:7, :7].max() + 1.5


def test_the_bands_are_rings_at_the_start_and_their_log_energies_come_from_the_dct():
    branch, image = FrequencyBranch(bands=16).eval(), torch.rand(1, 3, 32, 32)
    blocks = image.mean(1)[0].unfold(0, 8, 4).unfold(1, 8, 4).reshape(-1, 8, 8).numpy()
    energy = dctn(blocks, axes=(1, 2), norm="ortho").reshape(len(blocks), 64) ** 2
    filters = np.logaddexp(0, branch.bands.detach().numpy())
    expected = (np.log(energy @ filters.T + 1e-6) / 2).mean(0)
    found = branch(image)[0].detach().numpy() * np.sqrt(1 + branch.norm.eps)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    rings = filters.reshape(16, 8, 8)
    assert rings[0].argmax() == 0 and rings[15].argmax() == 63
    assert all(rings[round(k * 15 / 7), k, k] > 0.99 for k in range(8))


def test_bf16_autocast_keeps_it_exact():
    branch, images = FrequencyBranch().eval(), torch.rand(2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        low = branch(images)
    torch.testing.assert_close(low, branch(images))


def test_no_checkpoint_holds_the_basis():
    assert not [name for name in FrequencyBranch().state_dict() if "basis" in name]


def networks():
    options = {"backbone": "test_efficientnet", "fpn_channels": 16, "levels": 2}
    return {
        "small_cnn": lambda on: SmallCNN(blocks=2, convs_per_block=1, frequency=on),
        "rep_cnn": lambda on: RepCNN(stem_width=16, widths=(16,), depths=(1,), frequency=on),
        "teacher": lambda on: build_teacher("efficientnet_fpn_cbam", options={**options, "frequency": on}),
    }


@pytest.mark.parametrize("frequency", [True, "bands"])
@pytest.mark.parametrize("kind", ["small_cnn", "rep_cnn", "teacher"])
def test_a_network_with_the_branch_reads_it_and_trains_it(kind, frequency):
    make = networks()[kind]
    network, images = make(frequency).train(), torch.rand(4, 3, 32, 32)
    (network(images).logits * torch.arange(4)).sum().backward()
    for trained in network.frequency.parameters():
        assert trained.grad.abs().sum() > 0
    assert make(False).frequency is None
    network.eval()
    before = network(images).logits
    network.frequency.norm.bias.data += 1.0
    assert not torch.allclose(before, network(images).logits)


@pytest.mark.parametrize("frequency", [True, "bands"])
def test_it_exports_to_onnx_as_it_is(frequency, tmp_path):
    network, images = networks()["rep_cnn"](frequency).eval(), torch.rand(1, 3, 32, 32)
    path = tmp_path / "m.onnx"
    torch.onnx.export(lambda_of(network), (images,), path, dynamo=True, external_data=False, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    np.testing.assert_allclose(found, network(images).logits.detach().numpy(), atol=1e-4)


def lambda_of(network):
    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            return self.network(images).logits

    return Logits().eval()
