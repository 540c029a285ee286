"""Maps over their image, as one PNG. Torch-free."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from deploy.explain.hide import Map
from deploy.explain.subject import Box
from distill.preprocess import Pixels

SIDE = 320  # pixels of a shown picture
GAP, CAPTION = 8, 40
_ACROSS = 4
_FOR, _AGAINST, _ALTERED, _FACE = (214, 40, 40), (0, 92, 178), (255, 214, 0), (0, 150, 60)


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet: uint8 ``[S, S, 3]``, a map ``[S, S]`` over it, and what stands above it."""

    pixels: Pixels
    caption: tuple[str, ...] = ()
    heat: Map | None = None
    mask: Pixels | None = None
    box: Box | None = None


def sheet(panels: Sequence[Panel]) -> bytes:
    """A PNG of panels, four in a row; red speaks for the answer (*generated*, of K classes the likeliest), blue against it.

    What was altered has a yellow outline, a face that was found a green frame.
    """
    across = min(_ACROSS, len(panels))
    rows = -(-len(panels) // across)
    wide, high = SIDE + GAP, SIDE + CAPTION + GAP
    whole = Image.new("RGB", (across * wide - GAP, rows * high - GAP), "white")
    write, font = ImageDraw.Draw(whole), ImageFont.load_default(size=15)
    for number, panel in enumerate(panels):
        x, y = number % across * wide, number // across * high
        for line, text in enumerate(panel.caption[:2]):
            write.text((x, y + line * CAPTION // 2), text, fill="black", font=font)
        whole.paste(_drawn(panel), (x, y + CAPTION))
    buffer = io.BytesIO()
    whole.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _drawn(panel: Panel) -> Image.Image:
    plain = Image.fromarray(panel.pixels)
    even = SIDE % plain.width == 0
    plain = plain.resize((SIDE, SIDE), Image.Resampling.NEAREST if even else Image.Resampling.BICUBIC)
    found = plain if panel.heat is None else _over(plain, panel.heat)
    if panel.mask is not None:
        found.paste(_ALTERED, (0, 0), _outline(panel.mask))
    if panel.box is not None:
        scale = SIDE / panel.pixels.shape[0]
        corners = [min(value * scale, SIDE - 1) for value in panel.box.corners]
        ImageDraw.Draw(found).rectangle(corners, outline=_FACE, width=3)
    return found


def _over(plain: Image.Image, heat: Map) -> Image.Image:
    """The map in colour over the picture in grey, its strongest place at three quarters of full colour."""
    largest = float(np.abs(heat).max()) or 1.0
    scaled = np.asarray(Image.fromarray(heat / largest).resize(plain.size, Image.Resampling.BILINEAR))
    weight = np.clip(np.abs(scaled), 0, 1)[..., None] * 0.75
    colour = np.where(scaled[..., None] > 0, _FOR, _AGAINST)
    grey = np.asarray(plain.convert("L").convert("RGB"))
    return Image.fromarray(np.rint((1 - weight) * grey + weight * colour).astype(np.uint8))


def _outline(mask: Pixels) -> Image.Image:
    wide = Image.fromarray((mask > 127).astype(np.uint8) * 255).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    inner = np.asarray(wide.filter(ImageFilter.MinFilter(5)))
    return Image.fromarray(np.asarray(wide) - inner)
