"""Does a variant say what its artifact says? On random pixels, every image in every place of a batch."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.openvino_ir import openvino_core
from deploy.runtime import Detector
from deploy.sessions import Logits
from deploy.variants.changes import Changes
from deploy.variants.files import FILES
from deploy.variants.record import Agreement
from distill.errors import EdgeproofError
from distill.forms import Runtime
from distill.optional import require
from distill.preprocess import Pixels

LIMIT = 4e-5  # of a logit: at most 1e-5 of a probability
FP16_LIMIT = 4e-2  # of a logit: at most 1e-2 of a probability
_IMAGES = 6
_OPEN_BATCHES = (1, 3)  # tried where the batch is left open

_Model = Callable[[npt.NDArray[Any]], Logits]


def agreement(artifact: Path, folder: Path, changes: Changes, *, runtime: Runtime) -> Agreement:
    """Compare the variant in ``folder`` with its artifact, both in ``runtime`` where the artifact has a model for it.

    Raises:
        EdgeproofError: a file that the runtime refuses, or answers that differ by more than the limit.
    """
    detector = Detector.load(artifact, runtime=_comparable(artifact, runtime), threads=1)
    size, output = detector.manifest.preprocess.size, detector.manifest.outputs[1]
    pixels = _random_pixels(max(_IMAGES, changes.batch or 0), size=size)
    expected = detector.run(pixels)
    model = _open(folder / FILES[changes.format][0], runtime=runtime, output=output)
    largest = 0.0
    for batch in _OPEN_BATCHES if changes.batch is None else (changes.batch,):
        for chosen in _rounds(len(pixels), batch):
            found = model(_as_input(pixels[chosen], changes))
            largest = max(largest, _difference(found, expected[chosen]))
    limit = FP16_LIMIT if changes.fp16_weights else LIMIT
    if not largest <= limit:  # NaN is no agreement either
        raise EdgeproofError(
            f"{artifact}: {' and '.join(changes.described)} changes a logit by {largest:.2g}, expected at most {limit:g}"
        )
    return Agreement(images=len(pixels), largest_difference=largest, limit=limit)


def _comparable(artifact: Path, runtime: Runtime) -> str | None:
    """The variant's own runtime, or whichever the artifact has."""
    return (
        runtime if (artifact / FILES["openvino" if runtime == "openvino" else "onnx"][0]).is_file() else None
    )


def _random_pixels(count: int, *, size: int) -> Pixels:
    """Half of it noise, half of it flat squares, so that the logits differ from image to image."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    squares = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    side = -(-size // 4)
    large = squares.repeat(side, axis=1).repeat(side, axis=2)[:, :size, :size]
    return np.where(np.arange(count)[:, None, None, None] % 2 == 0, noise, large)


def _rounds(images: int, batch: int) -> Iterator[npt.NDArray[np.intp]]:
    """Indices of full batches that hold every image at least once."""
    for start in range(0, images, batch):
        yield np.arange(start, start + batch) % images


def _as_input(pixels: Pixels, changes: Changes) -> npt.NDArray[Any]:
    """``[N, S, S, 3]`` as the variant takes it; the fourth byte is noise, since it must not count."""
    if changes.input == "float-nchw":
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    if changes.input == "rgbx":
        ignored = np.random.default_rng(1).integers(0, 256, (*pixels.shape[:3], 1), dtype=np.uint8)
        return np.concatenate([pixels, ignored], axis=3)
    return pixels


def _difference(found: Logits, expected: Logits) -> float:
    if found.shape != expected.shape:
        return float("nan")
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())


def _open(path: Path, *, runtime: Runtime, output: str) -> _Model:
    try:
        return _open_openvino(path, output) if runtime == "openvino" else _open_onnxruntime(path, output)
    except Exception as error:  # both engines raise types of their own C++ layers
        reason = " ".join(str(error).split())[:200]
        raise EdgeproofError(f"{path.name}: {runtime} cannot load the variant ({reason})") from error


def _open_onnxruntime(path: Path, output: str) -> _Model:
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([output], {"image": pixels})[0]  # type: ignore[no-any-return]


def _open_openvino(path: Path, output: str) -> _Model:
    compiled = openvino_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: compiled({"image": pixels})[output]  # type: ignore[no-any-return]
