import numpy as np
import torch

from teachers.cbam import CBAM


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(x, first, first_bias, second, second_bias, kernel):
    """CBAM of the paper for one image ``[C, H, W]``, loop by loop."""

    def mlp(pooled):
        return second @ np.maximum(first @ pooled + first_bias, 0) + second_bias

    channel = sigmoid(mlp(x.mean((1, 2))) + mlp(x.max((1, 2))))
    x = x * channel[:, None, None]
    pooled = np.pad(np.stack([x.mean(0), x.max(0)]), ((0, 0), (3, 3), (3, 3)))
    height, width = x.shape[1:]
    spatial = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            spatial[row, column] = (pooled[:, row : row + 7, column : column + 7] * kernel).sum()
    return x * sigmoid(spatial)


def test_cbam_equals_the_paper():
    torch.manual_seed(0)
    block = CBAM(4).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    first, _, second = block.mlp
    weights = [
        first.weight[:, :, 0, 0],
        first.bias,
        second.weight[:, :, 0, 0],
        second.bias,
        block.spatial.weight[0],
    ]
    arrays = [w.detach().numpy() for w in weights]
    expected = np.stack([reference(image, *arrays) for image in x.numpy()])
    np.testing.assert_allclose(block(x).detach().numpy(), expected, rtol=1e-10)


def test_hidden_width_has_a_floor():
    assert CBAM(32).mlp[0].out_channels == 8
    assert CBAM(256).mlp[0].out_channels == 16
