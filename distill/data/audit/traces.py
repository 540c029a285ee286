"""What JPEG leaves in pixels: the comb of its quantization, and how strongly its 8 x 8 grid stands out. Torch-free.

A picture that was quantized with a known table has DCT coefficients near the table's multiples, on one of 64
possible grids (Lukas & Fridrich 2003, Farid 2009). That is told by a sum of cosines which is near zero for a
picture that never was a JPEG, whatever it shows and however it was generated: of 2800 simulated images of 64 and
128 pixels one reached 6.2 and all others stayed below 3.4, while as JPEGs of quality 30 to 97 they gave 7 to 82; at
quality 98 one in a hundred falls below 6. Only tables of the IJG's family are known here, which Pillow, OpenCV and
libjpeg write. A quality above 98, a rescaled picture and other codecs leave no such comb.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]

STRENGTHS = ("blocks", "chroma_blocks", "chroma_blocks_16", "chroma_parity")
TRACES = ("quality", *STRENGTHS)
_SIDE = 256  # of the middle that is looked at: a thousand blocks
_LEAST_SIDE = 32  # two blocks of half-size chroma
_SHOWN = 6.0  # of the comb's statistic: see above
_QUALITIES = (*range(30, 60, 10), *range(55, 90, 5), 88, *range(90, 99))
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
_FREQUENCY = np.add.outer(np.arange(8), np.arange(8))
_LOW = (_FREQUENCY > 0) & (_FREQUENCY <= 6)


def middle(picture: Image.Image) -> Image.Image:
    """The part that is looked at: at most 256 x 256, cut so that a JPEG's grid stays in place."""
    width, height = (min(side, _SIDE) for side in picture.size)
    left = (picture.width - width) // 32 * 16
    top = (picture.height - height) // 32 * 16
    return picture.crop((left, top, left + width, top + height))


def jpeg_again(picture: Image.Image, quality: int) -> Image.Image:
    """The picture after one more JPEG, in memory."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return image.convert("RGB")


def traces(picture: Image.Image) -> Floats:
    """The values of :data:`TRACES` for an RGB picture (see :func:`middle`), NaN where there is no trace.

    ``quality`` is that of the strongest comb on the file's own grid, or on a grid that a crop has shifted. The
    strengths see a little of the content too, so they are given only where the file's own grid has a comb:
    re-encoding such a picture keeps them within what a probe has seen, which it would not for a picture that
    has never been a JPEG.
    """
    found = np.full(len(TRACES), np.nan, np.float32)
    if min(picture.size) < _LEAST_SIDE:
        return found
    luma, *chroma = (np.asarray(picture, np.float32) @ _TO_YCC.T).transpose(2, 0, 1)
    own, quality = _comb(_dct(luma))
    if own > _SHOWN:
        found[1:] = _strengths(luma, chroma)
    shifted, other = _comb(_dct(luma, _phase(luma.T), _phase(luma)))
    if max(own, shifted) > _SHOWN:
        found[0] = quality if own >= shifted else other
    return found


def _tables() -> Floats:
    """Quantization steps of the low frequencies ``[Q, K]``, as libjpeg scales them."""
    qualities = np.array(_QUALITIES)[:, None]
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    steps = (np.array(_LUMINANCE)[_LOW] * percent + 50) // 100
    return steps.clip(1, 255).astype(np.float32)


_STEPS = _tables()


def _comb(coefficients: Floats) -> tuple[float, int]:
    """How far coefficients lie on multiples of the best table's steps, in standard deviations, and its quality."""
    low, best = coefficients[:, _LOW], (-np.inf, 0)
    for quality, steps in zip(_QUALITIES, _STEPS, strict=True):
        turns = low / steps
        telling = turns[
            (np.abs(turns) > 0.5) & (steps >= 2)
        ]  # smaller ones are near a multiple, zero, anyway
        statistic = float(np.cos(2 * np.pi * telling).sum() / np.sqrt(telling.size / 2 + 1))
        best = max(best, (statistic, quality))
    return best


def _dct(plane: Floats, top: int = 0, left: int = 0) -> Floats:
    """Orthonormal DCT of every whole 8 x 8 block ``[N, 8, 8]`` of the grid that starts at ``top``, ``left``."""
    from scipy.fft import dctn

    rows, columns = (plane.shape[0] - top) // 8, (plane.shape[1] - left) // 8
    whole = plane[top : top + 8 * rows, left : left + 8 * columns]
    blocks = whole.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3)
    coefficients: Floats = dctn(blocks, axes=(2, 3), norm="ortho").reshape(-1, 8, 8)
    return coefficients


def _profile(plane: Floats, period: int) -> npt.NDArray[np.float64]:
    """How strongly the picture bends across each column edge, by the edge's place in a period ``[period]``."""
    bend = np.abs(plane[:, :-3] - 3 * plane[:, 1:-2] + 3 * plane[:, 2:-1] - plane[:, 3:])
    edges = np.minimum(bend, 20).mean(axis=0)  # edges of things must not outweigh those of blocks
    place = (np.arange(len(edges)) + 2) % period
    return np.bincount(place, edges, period) / np.bincount(place, minlength=period)


def _phase(plane: Floats) -> int:
    """The first column of the grid whose edges stand out most."""
    return int(_profile(plane, 8).argmax())


def _strengths(luma: Floats, chroma: list[Floats]) -> list[float]:
    """In the order of :data:`STRENGTHS`; the chroma planes are averaged.

    The share of coefficients that JPEG set to zero is not among them: it sees how smooth a picture is, and on
    simulated pictures an AUC of 0.1 was lost by a re-encoding that had nothing to reveal.
    """
    colour = np.mean([[_blocks(plane, 8), _blocks(plane, 16), _parity(plane)] for plane in chroma], axis=0)
    return [_blocks(luma, 8), *colour.tolist()]


def _blocks(plane: Floats, period: int) -> float:
    """Bend across the grid's edges relative to that elsewhere, both directions, as a logarithm."""
    profile = _profile(plane, period) + _profile(plane.T, period) + 0.1
    return float(np.log(profile[0] / profile[1:].mean()))


def _parity(plane: Floats) -> float:
    """How unlike even and odd columns bend: chroma that was stored at half the size."""
    even, odd = _profile(plane, 2) + _profile(plane.T, 2) + 0.1
    return float(abs(np.log(even / odd)))
