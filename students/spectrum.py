"""An image's power spectrum, averaged over angles: where upsampling leaves traces that a linear model finds.

Durall, Keuper & Keuper 2020 (arXiv 2003.01826). Products with fixed matrices compute the discrete Fourier transform, so that
it exports as any other layer.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Array = npt.NDArray[np.float32]
PLANES = 3  # brightness, and two differences of colours, which no spectrum of a colour alone tells
_SMALLEST = (
    1e-6  # mean power of a plane; rounding to whole grey levels alone leaves about 2e-5 after normalization
)


class Spectrum(nn.Module):
    """Normalized square images ``[N, 3, S, S]`` → ``[N, 3 * bands]``: mean log power in rings of equal width, of three planes.

    The planes are ``(R + G + B) / 3``, ``R - G`` and ``(R + G) / 2 - B``, each without its mean. Rings go from 0 to
    ``sqrt(1/2)`` cycles a pixel, the corner of the spectrum; one that no frequency falls into (small images) gives 0.

    Args:
        bands: how many rings.

    """

    computes_in_float = True  # 8 bits lose a spectrum

    def __init__(self, *, bands: int = 32) -> None:
        super().__init__()
        self.bands = bands
        self.width = PLANES * bands

    def extra_repr(self) -> str:
        """What it is made with: it has no weights by which it could be known."""
        return f"bands={self.bands}"

    def forward(self, images: Tensor) -> Tensor:
        """Of images of any size."""
        size = images.shape[-1]
        cosine, sine = (torch.from_numpy(matrix).to(images.device) for matrix in fourier(size))
        rings = torch.from_numpy(ring_means(size, self.bands)).to(images.device)
        half = rings.shape[0] // size
        planes = planes_of(images.float())
        along_cosine, along_sine = planes @ cosine[:, :half], planes @ sine[:, :half]
        real = cosine @ along_cosine - sine @ along_sine
        imaginary = -(cosine @ along_sine) - sine @ along_cosine
        # Sub and Neg, never Add: ONNX Runtime's quantizer quantizes every Add, which no logarithm survives
        power = (real.square() - (-imaginary.square())) / size**2
        found: Tensor = (power.clamp(min=_SMALLEST).log().flatten(2) @ rings).flatten(1)
        return found


def planes_of(images: Tensor) -> Tensor:
    """Brightness and two differences of colours of ``[N, 3, S, S]``, each without its mean."""
    mixed = images.new_tensor([[1 / 3, 1 / 3, 1 / 3], [1, -1, 0], [0.5, 0.5, -1]])
    planes = (mixed @ images.flatten(2)).reshape(images.shape)
    return planes - planes.mean((2, 3), keepdim=True)


@lru_cache(maxsize=4)
def fourier(size: int) -> tuple[Array, Array]:
    """Cosines and sines ``[S, S]`` of the discrete Fourier transform."""
    angle = 2 * math.pi / size * (np.outer(np.arange(size), np.arange(size)) % size)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


@lru_cache(maxsize=4)
def ring_means(size: int, bands: int) -> Array:
    """``[S * (S // 2 + 1), bands]``: what averages the half of a real image's spectrum that ``rfft2`` gives over each ring."""
    down, along = np.abs(np.fft.fftfreq(size))[:, None], np.fft.rfftfreq(size)[None]
    radius = np.hypot(down, along) / math.sqrt(0.5)
    ring = np.minimum((radius * bands).astype(np.int64), bands - 1)
    twice = np.full(along.shape[1], 2.0)  # the other half of the spectrum is this one's mirror image
    twice[0] = 1.0
    if size % 2 == 0:
        twice[-1] = 1.0
    weights = np.eye(bands)[ring] * np.broadcast_to(twice[None, :, None], (*ring.shape, 1))
    total = weights.sum((0, 1))
    means: Array = (weights / np.maximum(total, 1.0)).reshape(-1, bands).astype(np.float32)
    return means
