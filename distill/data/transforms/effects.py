"""What happens to pictures in the wild: recompression, blur, resizing, noise. Pure functions on RGB. Torch-free.

Every function returns a picture of the same size and leaves its argument alone.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

_GREY = (128, 128, 128)
_MOST_ASPECT = 2.0


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """A JPEG round trip at an IJG quality (1 to 100), with the encoder's usual 4:2:0 chroma."""
    return _round_trip(image, "JPEG", quality=quality)


def webp(image: Image.Image, quality: int, *, effort: int = 4) -> Image.Image:
    """A lossy WebP round trip at a quality of 0 to 100; ``effort`` 0 takes two fifths of the time of the usual 4."""
    return _round_trip(image, "WEBP", quality=quality, method=effort)


def _round_trip(image: Image.Image, kind: str, **options: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    with Image.open(buffer) as decoded:
        return decoded.convert("RGB")


def blur(image: Image.Image, sigma: float) -> Image.Image:
    """A Gaussian of ``sigma`` pixels, edge pixels repeated.

    SciPy's, at the price of Pillow's three box blurs. Those are true to a grey level at sigma 0.5 and from 1 on, but
    off by up to 15 of 255 between (at 0.75 stripes of one pixel keep 0.24 of their contrast instead of 0.12, and
    such detail is where a generator's traces lie), and by up to 25 along the edges of the picture.
    """
    from scipy.ndimage import gaussian_filter

    pixels = np.asarray(image, dtype=np.float32)
    return _image(gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest"))


def resize(image: Image.Image, factor: float) -> Image.Image:
    """Make the sides ``factor`` times as long (antialiased), then enlarge to the old size; bicubic both ways."""
    width, height = (max(1, round(side * factor)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def screenshot(image: Image.Image) -> Image.Image:
    """As shown on a screen at four fifths of its size (bilinear, as browsers do), captured and shared as JPEG 80."""
    width, height = (max(1, round(side * 0.8)) for side in image.size)
    shown = jpeg(image.resize((width, height), Image.Resampling.BILINEAR), 80)
    return shown.resize(image.size, Image.Resampling.BICUBIC)


def noise(image: Image.Image, std: float, *, rng: np.random.Generator) -> Image.Image:
    """Gaussian noise of its own in every pixel and channel; ``std`` 1 is the whole way from black to white."""
    pixels = np.asarray(image, dtype=np.float32)
    return _image(pixels + np.float32(255 * std) * rng.standard_normal(pixels.shape, dtype=np.float32))


def colour(image: Image.Image, *, brightness: float, contrast: float, saturation: float) -> Image.Image:
    """Brightness, then contrast, then saturation, each by a factor; 1 changes nothing."""
    image = ImageEnhance.Brightness(image).enhance(brightness)
    image = ImageEnhance.Contrast(image).enhance(contrast)
    return ImageEnhance.Color(image).enhance(saturation)


def cutout(image: Image.Image, share: float, *, rng: np.random.Generator) -> Image.Image:
    """Hide ``share`` of the area under one grey rectangle, wholly inside, of random shape and place.

    DeVries & Taylor 2017, arXiv 1708.04552; the shape varies as in random erasing (Zhong et al. 2017), to twice as
    long as high, or high as long, relative to the picture.
    """
    width, height = image.size
    most = np.log(min(_MOST_ASPECT, 1 / share) if share else _MOST_ASPECT)
    aspect = np.exp(rng.uniform(-most, most))
    across, down = round(width * (share * aspect) ** 0.5), round(height * (share / aspect) ** 0.5)
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    hidden = image.copy()
    hidden.paste(_GREY, (left, top, left + across, top + down))
    return hidden


def _image(pixels: npt.NDArray[np.float32]) -> Image.Image:
    return Image.fromarray((pixels + np.float32(0.5)).clip(0, 255).astype(np.uint8))
