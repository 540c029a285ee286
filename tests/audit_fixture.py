"""Paired images on disk, and what the audit says of them."""

import numpy as np
from PIL import Image

from distill.data.audit.audit import audit
from distill.data.samples import Dataset, Sample
from distill.data.scan import scan
from distill.recipe import GateSettings

SCENES = 30


def picture(seed, *, side=16):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8))


def write(root, *, scenes=SCENES, kind=("bmp", "bmp"), **options):
    """Pairs of one real and one generated noise image; ``kind`` is the format of each class."""
    samples = []
    for scene in range(scenes):
        split = ("train", "train", "valid", "test")[scene % 4]
        for label in (0, 1):
            path = f"{label}_{scene}.{kind[label]}"
            chosen = {key: values[label] for key, values in options.items()}
            picture(2 * scene + label).save(root / path, **chosen)
            generator = "noise" if label else ""
            samples.append(
                Sample(path=path, label=label, split=split, generator=generator, group=f"scene{scene}")
            )
    return Dataset(root=root, layout="class_folders", samples=tuple(samples))


def report_of(dataset, **gates):
    dataset, columns = scan(dataset, max_bad_share=0.0, workers=1)
    report = audit(dataset, columns, gates=GateSettings(**gates), seed=0)
    return report, {check.name: check for check in report.checks}


def scenes(root, make, *, count=30):
    """Class folders of pictures that have been JPEGs or not; ``make(image, label)`` saves one."""
    from test_distill_flips import picture as blobs

    for label, name in enumerate(("real", "fake")):
        (root / name).mkdir()
        for index in range(count):
            make(blobs(2 * index + label), label).save(root / name / f"{index}.png")
    return root
