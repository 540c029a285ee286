import io
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from distill import preprocess
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec, read_image, to_rgb

MODES = [
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "RGBa",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "I;16",
]
POLICIES = ["resize", "center_crop", "tiles"]
ORIENTATION = 0x0112


def numbered(width, height):
    """Red is x, green is y: a pixel says where it came from."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8))


def saved(image, path, **options):
    image.save(path, **options)
    return path


def failure(call, *arguments):
    with pytest.raises(EdgeproofError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# geometry


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(16, 48),
    policy=st.sampled_from(POLICIES),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    max_tiles=st.integers(1, 6),
    mode=st.sampled_from(MODES),
)
@settings(max_examples=150, deadline=None)
def test_any_image_becomes_uint8_of_the_specs_size(
    width, height, size, policy, interpolation, max_tiles, mode
):
    spec = PreprocessSpec(size=size, policy=policy, interpolation=interpolation, max_tiles=max_tiles)
    pixels = spec.apply(to_rgb(Image.new(mode, (width, height))))
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (size, size, 3)
    assert 1 <= len(pixels) <= (max_tiles if policy == "tiles" else 1)


@given(
    size=st.integers(16, 40),
    policy=st.sampled_from(POLICIES),
    value=st.integers(0, 255),
    shape=st.tuples(*[st.integers(1, 80)] * 2),
)
@settings(max_examples=50, deadline=None)
def test_a_plain_image_stays_plain(size, policy, value, shape):
    pixels = PreprocessSpec(size=size, policy=policy).apply(Image.new("RGB", shape, (value,) * 3))
    assert (pixels == value).all()


@given(
    size=st.integers(16, 32),
    width=st.integers(1, 120),
    height=st.integers(1, 120),
    max_tiles=st.integers(16, 64),
)
@example(size=16, width=16, height=16, max_tiles=16)
@settings(max_examples=60, deadline=None)
def test_enough_tiles_cover_every_pixel(size, width, height, max_tiles):
    spec = PreprocessSpec(size=size, policy="tiles", max_tiles=max_tiles)
    width, height = max(width, size), max(height, size)
    needed = -(-width // size) * -(-height // size)
    tiles = spec.apply(numbered(width, height))
    assert len(tiles) == min(needed, len(tiles)) <= max_tiles
    if needed <= max_tiles:
        seen = {tuple(pixel) for pixel in tiles[..., :2].reshape(-1, 2)}
        assert len(seen) == width * height


def test_tiles_of_a_landscape_by_hand():
    # 40 × 16 with 16 px tiles: three columns spread evenly, at 0, 12, 24
    tiles = PreprocessSpec(size=16, policy="tiles").apply(numbered(40, 16))
    assert tiles[:, 0, 0, 0].tolist() == [0, 12, 24]
    assert tiles[:, 0, 0, 1].tolist() == [0, 0, 0]


def test_a_single_tile_is_the_middle_one():
    one, crop = (
        PreprocessSpec(size=16, policy=p, max_tiles=1).apply(numbered(50, 40))
        for p in ("tiles", "center_crop")
    )
    np.testing.assert_array_equal(one, crop)


def test_center_crop_keeps_native_pixels():
    pixels = PreprocessSpec(size=16, policy="center_crop").apply(numbered(21, 30))[0]
    assert pixels[0, 0].tolist() == [2, 7, 0]  # (21 - 16) // 2, (30 - 16) // 2
    assert pixels[15, 15].tolist() == [17, 22, 0]


def test_center_crop_enlarges_a_small_image_first():
    image = Image.fromarray(np.repeat(np.array([0, 100, 200, 250], np.uint8), 8).reshape(1, 32).repeat(8, 0))
    pixels = PreprocessSpec(size=16, policy="center_crop", interpolation="nearest").apply(
        image.convert("RGB")
    )[0]
    assert pixels[0, :, 0].tolist() == [100] * 8 + [200] * 8  # 32 × 8 → 64 × 16, of which 24..40


def test_resize_squeezes_the_whole_image():
    image = Image.fromarray(
        np.repeat(np.array([[10, 200]], np.uint8), 32, axis=1).repeat(16, axis=0)
    ).convert("RGB")
    pixels = PreprocessSpec(size=16, policy="resize", interpolation="nearest").apply(image)[0]
    assert pixels[:, :8].max() == 10 and pixels[:, 8:].min() == 200


def test_resize_averages_with_bilinear():
    checker = np.indices((32, 32)).sum(0) % 2 * 200
    pixels = PreprocessSpec(size=16).apply(Image.fromarray(checker.astype(np.uint8)).convert("RGB"))[0]
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - 100).max() <= 1  # Pillow's bilinear is anti-aliased


def test_the_right_size_is_left_alone():
    image = numbered(32, 32)
    for policy in POLICIES:
        pixels = PreprocessSpec(size=32, policy=policy, interpolation="lanczos").apply(image)
        np.testing.assert_array_equal(pixels, np.asarray(image)[None])


@pytest.mark.parametrize("policy", ["center_crop", "tiles"])
@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
def test_a_thread_of_pixels_is_not_blown_up(policy, shape, monkeypatch):
    asked = []
    original = Image.Image.resize

    def resize(self, size, *arguments, **options):
        asked.append(size[0] * size[1])
        return original(self, size, *arguments, **options) if asked[-1] < 50_000_000 else self

    monkeypatch.setattr(Image.Image, "resize", resize)
    pixels = PreprocessSpec(size=224, policy=policy).apply(Image.new("RGB", shape))
    assert pixels.shape[1:] == (224, 224, 3)
    assert max(asked) < 5_000_000  # enlarging the whole would ask for 3,010,560,000


def test_normalize_by_hand():
    spec = PreprocessSpec(mean=(0.5, 0.0, 1.0), std=(0.5, 1.0, 2.0))
    pixels = np.array([[255, 255, 255], [0, 51, 0]], dtype=np.uint8)
    expected = np.array([[1.0, 1.0, 0.0], [-1.0, 0.2, -0.5]])
    found = spec.normalize(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        {"size": 8}, {"size": 5000}, {"policy": "squash"}, {"interpolation": "box"}, {"std": (0.0, 1, 1)},
        {"mean": (0.5, 0.5)}, {"mean": (2.0, 0, 0)}, {"max_tiles": 0}, {"colour": "BGR"}, {"std": (float("inf"), 1, 1)},
    ],
)  # fmt: skip
def test_a_spec_out_of_range_is_refused(values):
    with pytest.raises(ValidationError):
        PreprocessSpec(**values)


def test_a_spec_is_frozen_and_round_trips_as_json():
    spec = PreprocessSpec(size=64, policy="tiles", mean=(0.1, 0.2, 0.3))
    assert PreprocessSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError):
        spec.size = 32


# files of every kind


def test_jpeg_in_cmyk(tmp_path):
    path = saved(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), tmp_path / "a.jpg", quality=95)
    image = read_image(path)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - [255, 0, 0]).max() < 12


@pytest.mark.parametrize(("suffix", "mode"), [("png", "I;16"), ("tif", "I;16"), ("tif", "I;16B")])
def test_16_bit_is_scaled_and_not_clipped(tmp_path, suffix, mode):
    values = np.array([[0, 257 * 100, 65535]], dtype=">u2" if mode == "I;16B" else "<u2")
    image = Image.frombytes(mode, (3, 1), values.tobytes())
    found = np.asarray(read_image(saved(image, tmp_path / f"a.{suffix}")))
    assert found.tolist() == [[[0] * 3, [100] * 3, [255] * 3]]


@pytest.mark.parametrize(("dtype", "unit"), [(np.uint8, 1), (np.dtype("<u2"), 257)])
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_rotated_grey_scans_are_turned_upright(tmp_path, suffix, dtype, unit):
    image = Image.fromarray((np.array([[1, 2, 3], [4, 5, 6]]) * unit).astype(dtype))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    found = read_image(saved(image, tmp_path / f"a.{suffix}", exif=exif))
    assert np.asarray(found)[..., 0].tolist() == [[4, 1], [5, 2], [6, 3]]


def test_palette_with_transparency_lies_on_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.info["transparency"] = 1
    found = read_image(saved(image, tmp_path / "a.png", transparency=1))
    assert np.asarray(found).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_palette_with_a_transparency_table(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putdata([0, 1])
    found = np.asarray(read_image(saved(image, tmp_path / "a.png", transparency=bytes([255, 0]))))
    assert found[0, :, 0].tolist() == [0, 255]


def test_grey_with_alpha_lies_on_white(tmp_path):
    image = Image.fromarray(np.array([[[10, 255], [10, 0], [0, 51]]], np.uint8))
    assert image.mode == "LA"
    found = np.asarray(read_image(saved(image, tmp_path / "a.png")))
    assert found[0, :, 0].tolist() == [10, 255, 204]  # 0 · 0.2 + 255 · 0.8


def test_rgb_with_a_transparent_colour_lies_on_white(tmp_path):
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    found = np.asarray(read_image(saved(image, tmp_path / "a.png", transparency=(1, 2, 3))))
    assert found.tolist() == [[[255] * 3, [4, 5, 6]]]


def test_one_bit(tmp_path):
    image = Image.fromarray(np.array([[True, False]]))
    assert image.mode == "1"
    assert np.asarray(read_image(saved(image, tmp_path / "a.png"))).tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = Image.fromarray(np.array([[255, 0, 0], [0, 0, 0]], np.uint8)).resize(
        (48, 32), Image.Resampling.NEAREST
    )
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = read_image(saved(stored, tmp_path / "a.jpg", exif=exif, quality=95))
    assert found.size == (48, 32)
    assert np.abs(np.asarray(found)[..., 0].astype(int) - np.asarray(upright)).mean() < 3


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.asarray(read_image(path)).reshape(-1, 3).tolist() == [[255, 0, 0]] * 64


def test_a_wrong_suffix_does_not_matter(tmp_path):
    saved(numbered(8, 8), tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.jpg")), np.asarray(numbered(8, 8)))


# files that are none


def test_a_missing_file(tmp_path):
    assert failure(read_image, tmp_path / "a.jpg") == f"{tmp_path}/a.jpg: no such image file"


def test_a_folder(tmp_path):
    assert "no such image file" in failure(read_image, tmp_path)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert failure(read_image, tmp_path / "a.jpg").endswith("the file is empty (0 bytes), expected an image")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "bmp", "tiff"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_a_truncated_file(tmp_path, kind, share):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, kind)
    path = tmp_path / "a.img"
    path.write_bytes(buffer.getvalue()[: max(1, int(len(buffer.getvalue()) * share))])
    assert failure(read_image, path).startswith(f"{path}: cannot be decoded as an image (")


def test_text_called_jpg(tmp_path):
    (tmp_path / "a.jpg").write_text("not an image\n")
    assert "cannot be decoded as an image" in failure(read_image, tmp_path / "a.jpg")


@given(
    data=st.binary(min_size=1, max_size=200),
    header=st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]),
)
@settings(max_examples=80, deadline=None)
def test_rubbish_never_escapes_as_another_error(tmp_path_factory, data, header):
    path = tmp_path_factory.getbasetemp() / "rubbish"
    path.write_bytes(header + data)
    try:
        assert read_image(path).mode == "RGB"
    except EdgeproofError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


def test_a_decompression_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(preprocess, "MAX_PIXELS", 99)
    saved(Image.new("L", (10, 10)), tmp_path / "a.png")
    assert (
        failure(read_image, tmp_path / "a.png")
        == f"{tmp_path}/a.png: 10x10 pixels, at most 99 are allowed (EDGEPROOF_MAX_PIXELS)"
    )


@pytest.mark.parametrize("side", [12_000, 60_000])  # above Pillow's warning, above its error
def test_a_header_that_claims_too_much_is_refused_before_decoding(tmp_path, side, monkeypatch):
    monkeypatch.setattr(preprocess, "MAX_PIXELS", 89_478_485)
    path = saved(Image.new("1", (8, 8)), tmp_path / "a.bmp")
    data = bytearray(path.read_bytes())
    data[18:26] = struct.pack("<ii", side, side)
    path.write_bytes(data)
    assert "pixels" in failure(read_image, path)


# decoding no more than is needed


def photo(path, *, width=640, height=480):
    noise = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return saved(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC), path, quality=92)


@pytest.mark.parametrize(
    ("size", "expected"), [(30, (80, 60)), (32, (160, 120)), (64, (320, 240)), (200, (640, 480))]
)
def test_a_jpeg_is_decoded_no_larger_than_the_resize_needs(tmp_path, size, expected):
    spec = PreprocessSpec(size=size, policy="resize")
    assert read_image(photo(tmp_path / "a.jpg"), smallest=spec.smallest_decoded).size == expected


def test_pixels_hardly_differ_from_those_of_the_whole_picture(tmp_path):
    spec = PreprocessSpec(size=48, policy="resize")
    path = photo(tmp_path / "a.jpg")
    small, whole = (spec.apply(read_image(path, smallest=n)).astype(int) for n in (spec.smallest_decoded, 0))
    assert np.abs(small - whole).mean() < 1.0


@pytest.mark.parametrize("policy", ["center_crop", "tiles"])
def test_native_policies_need_all_pixels(policy):
    assert PreprocessSpec(size=32, policy=policy).smallest_decoded == 0
