"""How fast images reach the training: decoders, and decode → crop → augment → batch against bare decoding.

*Bare* is each file to an RGB array with Pillow, in as many processes as the loader has, with the same memory settings.

``python -m perf.data_throughput`` writes ``perf/results/data-throughput.json``. Contestants take turns in one run,
and what is claimed are ratios of rounds that stood beside each other, since such machines are shared and noisy.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill import machine
from distill.data.samples import Sample
from distill.data.transforms.settings import AugmentationSettings
from distill.files import write_json
from distill.preprocess import PreprocessSpec
from distill.training.malloc import keep_freed_memory

RESULT = Path(__file__).parent / "results" / "data-throughput.json"
TARGET = 128
_EPOCH = 4  # times all photos: starting an epoch takes some milliseconds
AUGMENTATION = AugmentationSettings.model_validate(
    {name: {"probability": 0.1} for name in ("resize", "blur", "colour", "noise", "cutout", "jpeg", "webp")}
)
PIPELINES = {
    "center_crop": (PreprocessSpec(size=TARGET, policy="center_crop"), None),
    "center_crop, augmented": (PreprocessSpec(size=TARGET, policy="center_crop"), AUGMENTATION),
    "resize": (PreprocessSpec(size=TARGET, policy="resize"), None),
    "resize, augmented": (PreprocessSpec(size=TARGET, policy="resize"), AUGMENTATION),
}


def measure(*, photos: int, sizes: Sequence[int], rounds: int, workers: int) -> dict[str, Any]:
    """Make photos, then time decoders and pipelines; the content of the result file."""
    before = machine.steal_seconds()
    found = {
        str(size): _measure_size(photos=photos, size=size, rounds=rounds, workers=workers) for size in sizes
    }
    return {
        "schema_version": 1,
        "machine": machine.describe(),
        "steal_s": (machine.steal_seconds() or 0.0) - (before or 0.0),
        "target": TARGET,
        "workers": workers,
        "rounds": rounds,
        "augmentation": AUGMENTATION.model_dump(mode="json"),
        "photo_sizes": found,
    }


def _measure_size(*, photos: int, size: int, rounds: int, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photos(Path(folder), count=photos, size=size)
        files = [path.read_bytes() for path in paths[: min(200, photos)]]
        return {
            "photos": {"count": photos, "quality": 90, "mean_bytes": statistics.fmean(map(len, files))},
            "decoders": time_decoders(files, rounds=rounds),
            "pipelines": time_pipelines(Path(folder), paths * _EPOCH, rounds=rounds, workers=workers),
        }


def make_photos(folder: Path, *, count: int, size: int) -> list[Path]:
    """JPEGs with the detail of photographs: noise of every scale (1/f), quality 90."""
    paths = []
    for number in range(count):
        pixels = _photo(np.random.default_rng(number), size)
        paths.append(folder / f"{number:05d}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def _photo(rng: np.random.Generator, size: int) -> Any:
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1 / size
    shape = (3, size, size // 2 + 1)
    spectrum = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / frequency
    planes = np.fft.irfft2(spectrum, s=(size, size))
    planes = planes[:1] + 0.3 * planes  # channels of a photograph go together
    planes = 128 + 45 * planes / planes.std()
    return planes.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def time_decoders(files: Sequence[bytes], *, rounds: int) -> dict[str, dict[str, Any]]:
    """Milliseconds per image to an RGB array on one thread; decoders that are not installed are left out."""
    decoders = _decoders()
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for decode in decoders.values():  # warm-up
        decode(files[0])
    for _ in range(rounds):
        for name, decode in decoders.items():
            started = time.perf_counter()
            for data in files:
                decode(data)
            times[name].append(1000 * (time.perf_counter() - started) / len(files))
    base = times["pillow"]
    pixels = np.asarray(decoders["pillow"](files[0]))
    return {
        name: {
            "same_pixels_as_pillow": bool(np.array_equal(pixels, _channels_last(decoders[name](files[0])))),
            "min_ms": min(found),
            "p50_ms": statistics.median(found),
            "ratio_to_pillow": statistics.median(a / b for a, b in zip(found, base, strict=True)),
        }
        for name, found in times.items()
    }


def _channels_last(picture: Any) -> Any:
    pixels = np.asarray(picture)
    return pixels.transpose(1, 2, 0) if pixels.shape[0] == 3 else pixels


def _decoders() -> dict[str, Callable[[bytes], Any]]:
    def pillow(data: bytes) -> Any:
        return np.asarray(Image.open(io.BytesIO(data)))

    def pillow_draft(data: bytes) -> Any:
        image = Image.open(io.BytesIO(data))
        image.draft(image.mode, (TARGET, TARGET))
        return np.asarray(image)

    found: dict[str, Callable[[bytes], Any]] = {"pillow": pillow, f"pillow, draft to {TARGET}": pillow_draft}
    for name, make in (("torchvision", _torchvision), ("simplejpeg (turbo)", _simplejpeg)):
        try:
            found[name] = make()
        except ImportError:
            continue
    return found


def _torchvision() -> Callable[[bytes], Any]:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    torch.set_num_threads(1)
    return lambda data: decode_jpeg(
        torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=ImageReadMode.RGB
    )


def _simplejpeg() -> Callable[[bytes], Any]:
    from simplejpeg import decode_jpeg

    return lambda data: decode_jpeg(data, fastdct=False, fastupsample=False)


def time_pipelines(
    root: Path, paths: Sequence[Path], *, rounds: int, workers: int
) -> dict[str, dict[str, Any]]:
    """Seconds for all photos: bare decoding, and what the training's loader does, on the same number of processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=keep_freed_memory) as pool:
        shares = [[str(path) for path in paths[worker::workers]] for worker in range(workers)]
        contestants: dict[str, Callable[[], float]] = {"bare": lambda: _bare(pool, shares)}
        for name, (spec, augmentation) in PIPELINES.items():
            contestants[name] = _pipeline(root, paths, spec, augmentation, workers=workers)
        for run in contestants.values():  # processes start, files enter the cache
            run()
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, run in contestants.items():
                times[name].append(run())
    return {name: _row(found, times["bare"], images=len(paths)) for name, found in times.items()}


def _row(found: Sequence[float], bare: Sequence[float], *, images: int) -> dict[str, Any]:
    ratios = sorted(a / b for a, b in zip(found, bare, strict=True))
    return {
        "images_per_s_best": images / min(found),
        "images_per_s_p50": images / statistics.median(found),
        "ratio_to_bare_p50": statistics.median(ratios),
        "ratio_to_bare_best": min(found) / min(bare),
        "ratio_range": [ratios[0], ratios[-1]],
    }


def _bare(pool: ProcessPoolExecutor, shares: Sequence[Sequence[str]]) -> float:
    started = time.perf_counter()
    for done in [pool.submit(_decode_all, share) for share in shares]:
        done.result()
    return time.perf_counter() - started


def _decode_all(paths: Sequence[str]) -> None:
    for path in paths:
        with Image.open(path) as image:
            np.asarray(image)


def _pipeline(
    root: Path,
    paths: Sequence[Path],
    spec: PreprocessSpec,
    augmentation: AugmentationSettings | None,
    *,
    workers: int,
) -> Callable[[], float]:
    import torch

    from distill.data.pixels import PixelSource
    from distill.training.batches import BatchDataset, train_loader
    from distill.training.views import Views

    torch.set_num_threads(1)
    samples = tuple(Sample(path=path.name, label=number % 2) for number, path in enumerate(paths))
    source = PixelSource(root=root, samples=samples, spec=spec, cache=None)
    dataset = BatchDataset(source, augmentation=augmentation, views=Views(count=2, flips=True))
    loader = train_loader(dataset, batch_size=32, seed=0, workers=workers)

    def run() -> float:
        started = time.perf_counter()
        seen = sum(len(batch.labels) for batch in loader)
        if seen != len(paths):
            raise RuntimeError(f"the loader gave {seen} images, expected {len(paths)}")
        return time.perf_counter() - started

    return run


def main() -> None:
    """Measure with the arguments of the command line and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    result = measure(
        photos=options.photos, sizes=options.sizes, rounds=options.rounds, workers=options.workers
    )
    write_json(options.out, result)
    for size, found in result["photo_sizes"].items():
        for name, row in {**found["decoders"], **found["pipelines"]}.items():
            print(
                f"{size:>5} {name:<24}",
                "  ".join(f"{k} {v:.3g}" for k, v in row.items() if k != "ratio_range"),
            )


if __name__ == "__main__":
    main()
