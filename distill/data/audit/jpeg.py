"""What a JPEG file says of its own compression. Torch-free."""

from typing import Any

import numpy as np
from PIL import Image

_STANDARD_LUMINANCE_SUM = 3685  # of the table in ITU-T T.81, annex K.1, which quality 50 stands for


def jpeg_quality(image: Image.Image) -> float | None:
    """The IJG quality (1 to 100) whose luminance table weighs as much as the file's; ``None`` if it is no JPEG.

    Below 20, where entries are cut off at 255, it reads a little high. Encoders with tables of their own (cameras,
    Photoshop) get the quality of equal weight. Only the header is read.
    """
    tables: Any = getattr(image, "quantization", None)
    if not tables:
        return None
    scale = float(np.sum(tables[min(tables)])) / _STANDARD_LUMINANCE_SUM
    return float(np.clip(100 - 50 * scale if scale <= 1 else 50 / scale, 1, 100))
