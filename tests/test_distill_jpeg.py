import io

import pytest
from PIL import Image

from distill.data.audit.jpeg import jpeg_quality


def encoded(kind, **options):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, kind, **options)
    return Image.open(buffer)


@pytest.mark.parametrize("quality", [20, 30, 50, 75, 90, 95])
def test_the_quality_that_pillow_was_asked_for(quality):
    assert jpeg_quality(encoded("JPEG", quality=quality)) == pytest.approx(quality, abs=1)


def test_a_png_has_none():
    assert jpeg_quality(encoded("PNG")) is None
