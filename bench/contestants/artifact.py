"""Contestants from artifact folders, for ONNX Runtime and OpenVINO. Torch-free.

Scope ``model`` times the network on uint8 pixels that are ready; ``end_to_end`` starts from JPEG bytes:
decoding, preprocessing, the network, the calibrated verdict.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from bench.latency import Contestant, Runner
from bench.records.identity import Runtime
from bench.records.latency import Scope
from deploy.artifact import MODEL_FILES, Manifest, read_manifest
from deploy.runtime import Detector
from distill.errors import EdgeproofError
from distill.forms import Precision
from distill.machine import processor
from distill.preprocess import Pixels, decode_image

NO_BF16 = "this CPU has no bf16 instructions"
PRECISIONS = ("fp32", "bf16", "int8")


def artifact_contestants(
    folder: Path,
    *,
    model: str,
    threads: int,
    quantizer: str | None = None,
    images: Sequence[bytes] = (),
    params: int | None = None,
    macs: int | None = None,
    metrics: dict[str, float] | None = None,
    bf16: bool | None = None,
) -> list[Contestant]:
    """Both scopes of every runtime in an artifact; an FP32 OpenVINO model also in bf16.

    Args:
        folder: the artifact. Its hashes are checked when a contestant is made, so a bad file fails its row.
        model: the network's name, for the row.
        threads: CPU threads of one inference.
        quantizer: what the row calls the way to INT8; by default the tool that the artifact names.
        images: JPEG files' bytes for ``end_to_end``, taken in turn; one made-up photo by default.
        params: parameters of the network.
        macs: multiply-accumulates of one image.
        metrics: accuracy to stand in the rows.
        bf16: whether the CPU has bf16; None asks it. Without it the bf16 row is skipped, with the reason.

    Raises:
        EdgeproofError: no readable manifest, or a precision that a bench row cannot name.

    """
    manifest, photos = _timeable(folder), tuple(images) or (sample_jpeg(),)
    found: list[Contestant] = []
    for runtime in manifest.runtimes:
        base = Contestant(
            model=model,
            runtime=cast(Runtime, runtime),
            precision=manifest.precision,
            quantizer=quantizer or (manifest.quantizer.name if manifest.quantizer else None),
            input_size=manifest.preprocess.size,
            threads=threads,
            bytes=sum(manifest.files[file].bytes for file in MODEL_FILES[runtime]),
            params=params,
            macs=macs,
            metrics=metrics,
            make=_unmade,
        )
        for variant in _variants(base, bf16=bf16):
            found += _scopes(variant, folder, manifest, photos)
    return found


def _timeable(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.precision not in PRECISIONS:
        choices = ", ".join(PRECISIONS)
        raise EdgeproofError(f"{folder}: precision is {manifest.precision!r}, the bench times {choices}")
    return manifest


def sample_jpeg(*, size: int = 256, seed: int = 0) -> bytes:
    """A made-up photo, ``size`` × ``size``: smooth noise at JPEG quality 90, the same for the same seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def sample_pixels(size: int, *, seed: int = 0) -> Pixels:
    """Noise, uint8 ``[1, size, size, 3]``."""
    return np.random.default_rng(seed).integers(0, 256, (1, size, size, 3), dtype=np.uint8)


def _variants(base: Contestant, *, bf16: bool | None) -> Iterator[Contestant]:
    yield base
    if base.runtime == "openvino" and base.precision == "fp32":
        has_bf16 = processor().has_bf16 if bf16 is None else bf16
        yield replace(base, precision="bf16", skip_reason=None if has_bf16 else NO_BF16)


def _scopes(
    base: Contestant, folder: Path, manifest: Manifest, photos: tuple[bytes, ...]
) -> Iterator[Contestant]:
    makers: dict[Scope, Callable[[Detector], Runner]] = {
        "model": lambda detector: _model_only(detector, manifest.preprocess.size),
        "end_to_end": lambda detector: _end_to_end(detector, photos),
    }
    for scope, maker in makers.items():
        if base.skip_reason and scope == "end_to_end":
            continue  # one row says it
        yield replace(base, scope=scope, make=_artifact(folder, base, maker))


def _artifact(folder: Path, base: Contestant, maker: Callable[[Detector], Runner]) -> Callable[[], Runner]:
    def make() -> Runner:
        hint = _hint(base)
        detector = Detector.load(folder, runtime=base.runtime, threads=base.threads, precision=hint)
        _check_precision(detector.precision, hint)
        return maker(detector)

    return make


def _model_only(detector: Detector, size: int) -> Runner:
    pixels = sample_pixels(size)
    return lambda: detector.run(pixels)


def _end_to_end(detector: Detector, photos: tuple[bytes, ...]) -> Runner:
    turn = cycle(photos)
    smallest = detector.manifest.preprocess.smallest_decoded
    return lambda: detector.predict(decode_image(io.BytesIO(next(turn)), name="photo", smallest=smallest))


def _hint(contestant: Contestant) -> Precision:
    # FP32 is named outright: left alone, OpenVINO computes in bf16 on a CPU with AMX.
    return "bf16" if contestant.precision == "bf16" else "fp32"


def _check_precision(found: str, wanted: str) -> None:
    if found != wanted:
        raise EdgeproofError(f"the runtime computes in {found}, although {wanted} was asked for")


def _unmade() -> Runner:
    raise NotImplementedError("a contestant's make is set once its identity is complete")
