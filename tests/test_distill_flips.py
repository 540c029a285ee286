"""The flip tests on sets whose history is known: every planted leak is named, a clean set passes."""

import io

import numpy as np
import pytest
from PIL import Image

from distill.data.audit import audit
from distill.data.samples import Dataset, Sample
from distill.data.scan import scan
from distill.recipe import GateSettings

SCENES, SIDE = 80, 64
COMPRESSION = ("compression", "flip_jpeg96", "flip_jpeg95_fakes", "flip_png")


def photo(seed, *, soft):
    """Noise of every scale, as in photographs; ``soft`` takes the finest away, as a generator does."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequency[0, 0] = 1 / SIDE
    shape = (3, SIDE, SIDE // 2 + 1)
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / frequency
    spectrum *= np.exp(-((soft * frequency) ** 2))
    planes = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    planes = planes[:1] + 0.3 * planes
    return Image.fromarray(
        (128 + 45 * planes / planes.std()).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    )


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(quality))
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def made(root, *, history, save, soft=0.8, seed=0):
    """Scenes of one real and one generated picture; ``history(picture, label, rng)`` is what it went through."""
    samples = []
    for scene in range(SCENES):
        split = ("train", "train", "valid", "test")[scene % 4]
        quality = int(np.random.default_rng(scene).integers(65, 100))  # the same for both
        for label in (0, 1):
            picture = history(photo(1000 * seed + 2 * scene + label, soft=soft * label), label, quality)
            suffix, options = save(label, quality)
            path = f"{label}_{scene}.{suffix}"
            picture.save(root / path, **options)
            samples.append(
                Sample(path=path, label=label, split=split, generator="g" * label, group=str(scene))
            )
    return Dataset(root=root, layout="x", samples=tuple(samples))


def failed(dataset):
    dataset, columns = scan(dataset, max_bad_share=0.0, workers=1)
    report = audit(dataset, columns, gates=GateSettings(), seed=0)
    return [check["name"] for check in report["checks"] if not check["passed"]]


def nothing(picture, label, quality):
    return picture


def as_png(label, quality):
    return "png", {}


def as_jpeg(label, quality):
    return "jpg", {"quality": quality}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("save", [as_png, as_jpeg])
def test_a_set_whose_classes_share_one_history_passes(tmp_path, save, seed):
    found = failed(made(tmp_path, history=nothing, save=save, seed=seed))
    assert not set(found) & set(COMPRESSION)


def test_reals_are_jpegs_and_fakes_are_png_files(tmp_path):
    dataset = made(
        tmp_path, history=nothing, save=lambda label, _: ("png", {}) if label else ("jpg", {"quality": 75})
    )
    assert {"metadata", "compression", "flip_jpeg95_fakes", "flip_png"} <= set(failed(dataset))


def test_reals_were_jpegs_before_everything_was_saved_as_png(tmp_path):
    """No header tells it, only the pixels."""
    dataset = made(tmp_path, history=lambda p, label, _: p if label else jpeg(p, 75), save=as_png)
    found = failed(dataset)
    assert "compression" in found and "flip_png" not in found


def test_fakes_went_through_one_more_jpeg(tmp_path):
    dataset = made(
        tmp_path,
        history=lambda p, label, q: jpeg(jpeg(p, q), 95) if label else jpeg(p, q),
        save=as_png,
    )
    assert set(failed(dataset)) & {"compression", "flip_jpeg96"}


def test_a_class_that_was_saved_with_another_quality(tmp_path):
    dataset = made(tmp_path, history=lambda p, label, _: jpeg(p, 95 if label else 75), save=as_png)
    assert "compression" in failed(dataset)
