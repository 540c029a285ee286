"""Is a clip that was generated frame by frame told by its flicker? ``python -m perf.video_steadiness SIMULATED_SET``.

Clips of a camera that pans slowly over a scene, three of each: photographed; generated frame by frame (every frame by
another instance of the family and at another share, as a generator without memory would); and generated in one piece (one
instance, one share). Each goes through an encoder and then through ``judge_clip`` with every frame. The result is
``perf/results/video-steadiness.json``: the AUC of each measure of steadiness, and of the clip's score beside that of its
first frame, with 95 % intervals over scenes. The generators' weights are those of the simulated set; their scenes are not.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deploy.runtime import Detector
from deploy.video.frames import Sampling
from deploy.video.judge import judge_clip
from deploy.video.record import ClipRecord
from distill.data.simulate.camera import draw_noise, make_camera, photograph
from distill.data.simulate.generators import model_loader, reconstruct
from distill.data.simulate.scenes import render_scene
from distill.data.simulate.textures import Plane
from distill.evaluation.metrics import roc_auc
from distill.evaluation.statistics import bootstrap_ci
from distill.files import write_json
from distill.optional import require
from distill.preprocess import Pixels

RESULTS = Path(__file__).parent / "results"
Kind = Literal["photographed", "frame by frame", "in one piece"]
KINDS: tuple[Kind, ...] = ("photographed", "frame by frame", "in one piece")
FAMILIES, INSTANCES = ("transposed", "nearest", "vae8"), 3
SIZE, SPAN, FRAMES = 64, 80, 24  # pixels of a frame, of the sensor's window, and frames of a clip
MEASURES = ("deviation", "step", "flicker", "detail")
CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "lossless": ("ffv1", "bgr0", {}),
    "H.264 at CRF 23": ("libx264", "yuv420p", {"crf": "23"}),
}


def windows(scene: Plane) -> Iterator[Plane]:
    """A pan: one pixel to the right and, every other frame, one down."""
    for number in range(FRAMES):
        left, top = number, number // 2
        yield np.ascontiguousarray(scene[:, top : top + SPAN, left : left + SPAN])


@cache
def _loader(root: Path) -> Any:
    return model_loader(root)


def clip_of(kind: Kind, root: Path, *, number: int) -> list[Pixels]:
    """The frames uint8 ``[64, 64, 3]`` of one scene's clip; all three kinds show the same scene by the same camera."""
    rng = np.random.default_rng([number, 1])
    scene = render_scene(rng, size=SPAN + FRAMES).pixels
    camera, noise = make_camera(rng, name="pan", size=SPAN), draw_noise(rng)
    family, load = FAMILIES[number % len(FAMILIES)], _loader(root)
    own = np.random.default_rng([number, 2, KINDS.index(kind)])
    frames = []
    for window in windows(scene):
        photo = photograph(window, camera, noise, own)[0]
        if kind == "frame by frame":
            model = load(family, int(own.integers(INSTANCES)))
            photo = reconstruct(model, photo, strength=1.0, rng=own)
        elif kind == "in one piece":
            again = np.random.default_rng([number, 3])  # the same draw for every frame
            photo = reconstruct(load(family, number % INSTANCES), photo, strength=1.0, rng=again)
        edge = (SPAN - SIZE) // 2
        inner = photo[:, edge : edge + SIZE, edge : edge + SIZE]
        frames.append(np.rint(np.moveaxis(inner, 0, -1) * 255).astype(np.uint8))
    return frames


def write_clip(frames: list[Pixels], path: Path, *, codec: str) -> None:
    """Encode at 25 frames a second."""
    av = require("av")
    name, form, options = CODECS[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, form
        for frame in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"))
            )
        container.mux(stream.encode(None))


def judged(
    detector: Detector, root: Path, *, scenes: int, folder: Path
) -> dict[str, dict[Kind, list[ClipRecord]]]:
    """Codec → kind → a record for each scene."""
    found: dict[str, dict[Kind, list[ClipRecord]]] = {codec: {kind: [] for kind in KINDS} for codec in CODECS}
    for number in range(scenes):
        for kind in KINDS:
            frames = clip_of(kind, root, number=number)
            for codec, kinds in found.items():
                path = folder / "clip.mkv"
                write_clip(frames, path, codec=codec)
                kinds[kind].append(judge_clip(detector, path, sampling=Sampling(every=1)))
    return found


def _auc(positive: list[float], negative: list[float]) -> dict[str, Any]:
    """Of two kinds of clips of the same scenes, which are the groups."""
    labels = [1] * len(positive) + [0] * len(negative)
    groups = [*range(len(positive)), *range(len(negative))]
    scores = [*positive, *negative]
    return {"auc": roc_auc(labels, scores), "ci": bootstrap_ci(labels, scores, groups)}


def summary(kinds: dict[Kind, list[ClipRecord]]) -> dict[str, Any]:
    """AUC of every measure between kinds, and of the score."""
    table: dict[str, Any] = {}
    for measure in MEASURES:
        values = {
            kind: [float(getattr(record.steadiness, measure) or 0.0) for record in records]
            for kind, records in kinds.items()
        }
        table[measure] = {
            "median": {kind: float(np.median(found)) for kind, found in values.items()},
            "frame by frame against photographed": _auc(values["frame by frame"], values["photographed"]),
            "frame by frame against in one piece": _auc(values["frame by frame"], values["in one piece"]),
        }
    measures: dict[str, Callable[[ClipRecord], float]] = {
        "clip score": lambda record: record.logit,
        "first frame": lambda record: record.frames[0].logit,
    }
    for name, of in measures.items():
        scores = {kind: [of(record) for record in records] for kind, records in kinds.items()}
        table[name] = {
            f"{kind} against photographed": _auc(scores[kind], scores["photographed"]) for kind in KINDS[1:]
        }
    return table


def main() -> None:
    """Run it and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a simulated set with the generators that it trained")
    parser.add_argument("--detector", default="simulated-64")
    parser.add_argument("--scenes", type=int, default=90)
    arguments = parser.parse_args()
    detector = Detector.load(arguments.detector, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        found = judged(detector, arguments.data, scenes=arguments.scenes, folder=Path(folder))
    result = {
        "detector": arguments.detector, "scenes": arguments.scenes, "frames": FRAMES, "families": FAMILIES,
        "codecs": {codec: summary(kinds) for codec, kinds in found.items()},
    }  # fmt: skip
    write_json(RESULTS / "video-steadiness.json", result)


if __name__ == "__main__":
    main()
