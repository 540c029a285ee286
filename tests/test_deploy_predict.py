"""Every form in which a program holds an image, several at once, and what is refused in words."""

import io
import socket
from pathlib import Path

import numpy as np
import pytest
from deploy_fixture import SIZE, Deployed, build_deployed
from PIL import Image

from deploy.inputs import as_rgb
from deploy.runtime import Detector
from distill.errors import EdgeproofError

RUNTIMES = ("openvino", "onnxruntime")


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def detector(deployed: Deployed) -> Detector:
    return Detector.load(deployed.folder / "fp32", runtime="onnxruntime", threads=1)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_one_image_in_every_form_is_one_answer(
    deployed: Deployed, detector: Detector, tmp_path: Path
) -> None:
    array = deployed.pixels[0]
    content = png(array)
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    forms = [path, str(path), content, bytearray(content), memoryview(content), Image.fromarray(array), array]
    expected = detector.predict(array)
    assert expected.logit == pytest.approx(deployed.logits[0], abs=1e-4)
    assert [detector.predict(form) for form in forms] == [expected] * len(forms)
    assert detector.predict(forms) == [expected] * len(forms), "mixed"
    with path.open("rb") as file:
        assert detector.predict([io.BytesIO(content), file]) == [expected] * 2


def test_a_file_that_cannot_go_back_is_read_first(deployed: Deployed, detector: Detector) -> None:
    writing, reading = socket.socketpair()
    with writing, reading, reading.makefile("rb") as file:
        writing.sendall(png(deployed.pixels[0]))
        writing.close()
        assert detector.predict(file) == detector.predict(deployed.pixels[0])


def test_arrays_are_what_their_pixels_say(deployed: Deployed) -> None:
    rgb = deployed.pixels[0]
    grey = rgb[:, :, 0]
    as_grey = np.repeat(grey[:, :, None], 3, axis=2)
    opaque = np.dstack([rgb, np.full(grey.shape, 255, np.uint8)])
    clear = np.dstack([rgb, np.zeros_like(grey)])
    for array, expected in (
        (grey, as_grey), (grey[:, :, None], as_grey), (opaque, rgb), (clear, np.full_like(rgb, 255)),
        (rgb.astype(np.uint16) * 257, rgb), (grey.astype(np.uint16) // 2 * 257, as_grey // 2),
        (rgb[:, ::-1], rgb[:, ::-1]),
    ):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(as_rgb(array)), expected)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), "of floats from 0 to 1"),
        (np.zeros((8, 8, 3), np.int64), "expected uint8 or uint16"),
        (np.zeros((8, 8), bool), "expected uint8 or uint16"),
        (np.zeros((3, 8, 8), np.uint8), "the channels come last"),
        (np.zeros((8, 8, 2), np.uint8), "[H, W, 4] (RGBA)"),
        (np.zeros((0, 8, 3), np.uint8), "expected uint8 or uint16"),
        (np.zeros(8, np.uint8), "expected uint8 or uint16"),
    ],
)
def test_other_arrays_are_refused_in_words(detector: Detector, array: np.ndarray, words: str) -> None:
    with pytest.raises(EdgeproofError) as caught:
        detector.predict(array)
    assert str(caught.value).startswith(f"image: found an array {array.dtype} {list(array.shape)}, ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"", "image: 0 bytes, expected an encoded image"),
        (b"no image", "image: cannot be decoded as an image"),
        (io.StringIO("text"), "image: the file gives str, expected bytes; open it with mode 'rb'"),
        (3, "image: found int, expected a path, bytes"),
        (None, "image: found NoneType"),
    ],
)
def test_what_is_no_image_is_refused_in_words(detector: Detector, image: object, words: str) -> None:
    with pytest.raises(EdgeproofError) as caught:
        detector.predict(image)
    assert words in str(caught.value)


def test_the_bad_image_of_several_is_named(deployed: Deployed, detector: Detector) -> None:
    with pytest.raises(EdgeproofError, match=r"images\[2\]: cannot be decoded"):
        detector.predict([*deployed.pixels[:2], b"no image", deployed.pixels[3]])


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_side_by_side_is_as_one_by_one(deployed: Deployed, runtime: str, precision: str) -> None:
    folder = deployed.folder / precision
    alone = Detector.load(folder, runtime=runtime, threads=1)
    several = Detector.load(folder, runtime=runtime, threads=3, workers=3)
    assert (alone.workers, several.workers) == (1, 3)
    photos = [Image.fromarray(one).resize((SIZE + 9 * n, SIZE + n)) for n, one in enumerate(deployed.pixels)]
    expected = [alone.predict(photo).logit for photo in photos]
    assert np.ptp(expected) > 0.1, "the images differ, so that an order can be wrong"
    np.testing.assert_allclose([one.logit for one in several.predict(photos)], expected, atol=1e-6)
    np.testing.assert_allclose(several.run(deployed.pixels), alone.run(deployed.pixels), atol=1e-6)
    assert several.run(deployed.pixels[:0]).shape == (0,)


def test_workers_must_be_a_number_of_them(deployed: Deployed) -> None:
    with pytest.raises(EdgeproofError, match="workers: found 0, expected at least 1"):
        Detector.load(deployed.folder / "fp32", workers=0)


# --- another policy, and what to bear in mind ---------------------------------------------------------------


def test_a_large_photo_is_judged_in_tiles_of_its_own_pixels(deployed: Deployed, detector: Detector) -> None:
    grid = [deployed.pixels[row * 4 : row * 4 + 4] for row in range(3)]
    photo = np.concatenate([np.concatenate(list(row), axis=1) for row in grid])
    tiles = detector.predict(photo, policy="tiles")
    assert tiles.logit == pytest.approx(deployed.logits[:12].mean(), abs=1e-4)
    expected = [deployed.probabilities[:12].min(), deployed.probabilities[:12].max()]
    assert tiles.spread == pytest.approx(expected, abs=1e-4)
    middle = photo[SIZE : 2 * SIZE, 3 * SIZE // 2 : 5 * SIZE // 2]
    assert detector.predict(photo, policy="center_crop").logit == detector.predict(middle).logit
    assert detector.predict(photo, policy="resize") == detector.predict(photo), "the artifact's own"
    assert detector.predict([photo], policy="tiles") == [tiles]
    assert next(detector.stream([photo], policy="tiles")) == tiles
    assert detector.predict(photo).spread is None


def test_an_unknown_policy_is_named_before_any_image_is_read(detector: Detector) -> None:
    with pytest.raises(
        EdgeproofError, match="unknown policy 'crop'; choose one of: center_crop, resize, tiles"
    ):
        detector.predict(b"no image", policy="crop")


def test_twelve_megapixels_are_covered_by_as_many_tiles_as_there_may_be(detector: Detector) -> None:
    spec = detector.preprocessing("tiles")
    assert spec.apply(Image.new("RGB", (4000, 3000))).shape == (64, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    ("size", "policy", "words"),
    [
        ((SIZE, SIZE), None, ()),
        ((4 * SIZE, 3 * SIZE), None, ()),
        ((20, 40), None, ("20x40 pixels were enlarged to the model's 32x32",)),
        ((5 * SIZE, SIZE), None, ("160x32 pixels were shrunk 5.0 times, which hides fine traces; try policy tiles",)),
        ((4 * SIZE, 4 * SIZE), "center_crop", ()),
        ((4000, 3000), "center_crop",
         ("one square of 32x32 pixels, 0.0085 % of 4000x3000, were looked at; try policy tiles",)),
        ((4000, 3000), "tiles", ("64 squares of 32x32 pixels, 0.55 % of 4000x3000, were looked at",)),
        ((4 * SIZE, 4 * SIZE), "tiles", ()),
    ],
)  # fmt: skip
def test_an_image_far_from_the_models_input_carries_a_caution(detector, size, policy, words) -> None:
    photo = Image.new("RGB", size, "gray")
    assert detector.predict(photo, policy=policy).cautions == words
    jpeg = io.BytesIO()  # decoded smaller than it is
    photo.save(jpeg, "JPEG")
    assert detector.predict(jpeg, policy=policy).cautions == words


def test_a_model_that_saw_simulated_images_only_says_so(detector: Detector) -> None:
    assert detector.manifest.data == "simulated" and "simulated" in (detector.caution or "")
