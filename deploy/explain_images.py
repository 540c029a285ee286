"""Maps of photos as pictures, and maps of simulated images against what was altered in them. Torch-free."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from deploy.explain import Map, energy_inside, explain, pointing_game
from deploy.explain_record import Explained, Scores
from deploy.inputs import as_rgb
from deploy.runtime import Detector
from distill.data.samples import Dataset, Sample
from distill.data.storage import open_binary
from distill.errors import EdgeproofError
from distill.evaluation.statistics import bootstrap_mean, count_groups
from distill.files import write_bytes
from distill.preprocess import Pixels, read_image

_SIDE = 320  # pixels of a shown picture, at least
_MASKED = ("test", "heldout", "valid")
Progress = Callable[[int, int], None]


def explain_photos(
    detector: Detector, paths: Sequence[Path], *, method: str, out: Path | None, progress: Progress
) -> list[Explained]:
    """Explain each photo as the model sees it (of ``tiles`` the one that speaks most for *generated*).

    Args:
        detector: the artifact, loaded.
        paths: photos.
        method: of :data:`deploy.explain.METHODS`.
        out: folder for a PNG each, photo and map side by side; none are drawn without one.
        progress: told after each.

    Raises:
        EdgeproofError: a photo that cannot be read.
    """
    found = []
    for number, path in enumerate(paths):
        crop = _seen(detector, path)
        heat = explain(detector.run, crop, method=method)
        answer = detector.predict(Image.fromarray(crop))
        y, x = np.unravel_index(int(np.argmax(heat)), heat.shape)
        name = f"{number:03}-{path.stem}.png" if out else ""
        if out:
            write_bytes(out / name, side_by_side(crop, heat))
        found.append(
            Explained(
                image=str(path), answer=answer.answer or answer.label, probability=answer.probability, peak=(int(x), int(y)),
                strongest=float(heat.max()), picture=name,
            )
        )  # fmt: skip
        progress(number + 1, len(paths))
    return found


def _seen(detector: Detector, path: Path) -> Pixels:
    spec = detector.preprocessing()
    crops = spec.apply(read_image(path, smallest=spec.smallest_decoded))
    scores = detector.generated(np.concatenate([detector.run(crop[None]) for crop in crops]))
    most: Pixels = crops[int(np.argmax(scores))]
    return most


def side_by_side(pixels: Pixels, heat: Map) -> bytes:
    """A PNG: the picture, and the same with the map over it; red speaks for *generated*, blue against it."""
    times = max(1, -(-_SIDE // pixels.shape[0]))
    side = times * pixels.shape[0]
    plain = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
    largest = float(np.abs(heat).max()) or 1.0
    scaled = np.asarray(Image.fromarray(heat / largest).resize((side, side), Image.Resampling.BILINEAR))
    weight = np.clip(np.abs(scaled), 0, 1)[..., None] * 0.75
    colour = np.where(scaled[..., None] > 0, (214, 40, 40), (0, 92, 178))
    grey = np.asarray(plain.convert("L").convert("RGB"))
    mixed = Image.fromarray(np.rint((1 - weight) * grey + weight * colour).astype(np.uint8))
    both = Image.new("RGB", (2 * side + 8, side), "white")
    both.paste(plain, (0, 0))
    both.paste(mixed, (side + 8, 0))
    return _png(both)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def score_maps(
    detector: Detector, dataset: Dataset, *, method: str, samples: int, progress: Progress
) -> Scores:
    """Score maps of generated images of which a part was altered against their masks.

    Raises:
        EdgeproofError: no image that was not trained on has a mask.
    """
    masked = [sample for sample in dataset.split(*_MASKED) if sample.mask]
    if not masked:
        raise EdgeproofError(
            f"{dataset.root}: found no image with a mask outside of training, expected a simulated set with the family blend"
        )
    rows = np.random.default_rng(0).permutation(len(masked))[:samples]
    hits, energies, shares, groups = [], [], [], []
    for number, row in enumerate(sorted(rows)):
        sample = masked[row]
        mask = _mask_of(detector, dataset, sample)
        with open_binary(dataset.root, sample) as file:
            crop = detector.preprocessing().apply(as_rgb(file.read(), name=sample.path))[0]
        heat = explain(detector.run, crop, method=method)
        hits.append(pointing_game(heat, mask))
        energies.append(energy_inside(heat, mask))
        shares.append(float((mask > 127).mean()))
        groups.append(sample.group or sample.path)
        progress(number + 1, len(rows))
    return Scores(
        images=len(rows),
        groups=count_groups(groups, len(groups)),
        pointing=float(np.mean(hits)),
        pointing_ci=bootstrap_mean(np.asarray(hits, np.float64), groups),
        energy=float(np.mean(energies)),
        energy_ci=bootstrap_mean(energies, groups),
        chance=float(np.mean(shares)),
    )


def _mask_of(detector: Detector, dataset: Dataset, sample: Sample) -> Pixels:
    """uint8 ``[S, S]``, cut as the image is."""
    with Image.open(dataset.root / str(sample.mask)) as mask:
        found: Pixels = detector.preprocessing().apply(mask.convert("RGB"))[0][..., 0]
    return found
