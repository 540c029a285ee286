"""What every model says of degraded test images; ``bench.degradations`` judges it. Torch is imported when it runs.

Each image is decoded once, degraded, preprocessed and shown to all models. FP32 models run in PyTorch, in batches:
controls exist nowhere else, a GPU is used where there is one, and on one core it takes 0.7 ms for the demo's
teacher where ONNX Runtime takes 0.7 and OpenVINO 0.6. INT8 runs in the runtime it was made for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill.data.pixels import one_crop
from distill.data.samples import Sample
from distill.data.storage import open_image
from distill.data.transforms.degradations import DEGRADATIONS, degrade
from distill.evaluation.calibration import Calibration
from distill.files import read_json
from distill.pipeline.runfolder import (
    TEACHER,
    WEIGHTS,
    artifact_folder,
    chosen_folder,
    load_dataset,
    load_predictions,
    save_predictions,
)
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels, PreprocessSpec
from distill.recipe import Recipe

OUTPUTS = "predictions/degradations.npz"
Scores = npt.NDArray[np.float64]
_IMAGES = 8  # at once: with all their degradations they are one batch of 128
_MODEL = "model/"


@dataclass(frozen=True)
class DegradedOutputs:
    """Probabilities of *generated* on degraded images.

    Attributes:
        samples: ``[N]`` indices into the test split.
        degradations: ``[D]`` names.
        probabilities: model → ``[D, N]``; a model is named as in ``accuracy.json``.
    """

    samples: npt.NDArray[np.int64]
    degradations: tuple[str, ...]
    probabilities: dict[str, Scores]


def predict_degraded(run: Run, progress: Progress) -> None:
    """Write :data:`OUTPUTS`."""
    dataset = load_dataset(run.folder)
    test = dataset.split("test")
    chosen = draw_samples(test, at_most=run.recipe.degradations.samples, seed=run.recipe.seed)
    models = {**_networks(run), **_int8_artifacts(run)}
    found: dict[str, list[Scores]] = {name: [] for name in models}
    for start in range(0, len(chosen), _IMAGES):
        samples = [test[index] for index in chosen[start : start + _IMAGES]]
        pixels = [_degraded(dataset.root, sample, spec=run.recipe.preprocess) for sample in samples]
        for name, judge in models.items():
            found[name].append(judge(np.concatenate(pixels)).reshape(len(samples), len(DEGRADATIONS)))
        progress(min(start + _IMAGES, len(chosen)), len(chosen))
    content = {f"{_MODEL}{name}": np.concatenate(parts).T for name, parts in found.items()}
    names = np.array(list(DEGRADATIONS))
    save_predictions(run.folder / OUTPUTS, {"samples": chosen, "degradations": names, **content})


def load_degraded(run: Path) -> DegradedOutputs:
    """What :func:`predict_degraded` wrote."""
    content = load_predictions(run / OUTPUTS)
    return DegradedOutputs(
        samples=content["samples"],
        degradations=tuple(content["degradations"].tolist()),
        probabilities={
            name.removeprefix(_MODEL): values for name, values in content.items() if name.startswith(_MODEL)
        },
    )


def draw_samples(samples: Sequence[Sample], *, at_most: int, seed: int) -> npt.NDArray[np.int64]:
    """Sorted indices of at most ``at_most`` samples: whole groups, in random order, as long as they fit.

    Where not even one group fits, the first is cut.
    """
    groups: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        groups.setdefault(sample.group or sample.path, []).append(index)
    names = sorted(groups)
    order = [groups[names[turn]] for turn in np.random.default_rng(seed).permutation(len(names))]
    chosen: list[int] = []
    for members in order:
        if len(members) <= at_most - len(chosen):
            chosen += members
    return np.array(sorted(chosen or order[0][:at_most]), dtype=np.int64)


def int8_artifacts(recipe: Recipe) -> list[tuple[str, str, str]]:
    """Name, model and runtime of every INT8 artifact that the recipe makes at its own input size."""
    from deploy.quantizers import QUANTIZERS

    runtimes = dict.fromkeys(QUANTIZERS[name].runtime for name in recipe.quantization.quantizers)
    return [
        (Path(artifact_folder(model, runtime=runtime, precision="int8")).name, model, runtime)
        for model in (TEACHER, *recipe.students)
        for runtime in runtimes
    ]


def _degraded(root: Path, sample: Sample, *, spec: PreprocessSpec) -> Pixels:
    """``uint8 [D, S, S, 3]``; of ``tiles`` the middle one, as in every evaluation."""
    crop = one_crop(spec)
    image = open_image(root, sample)
    return np.concatenate([crop.apply(degrade(image, name, sample=sample)) for name in DEGRADATIONS])


def _networks(run: Run) -> dict[str, Callable[[Pixels], Scores]]:
    students = run.recipe.students
    named = {TEACHER: TEACHER, **{name: name for name in students}}
    named |= {f"{name}/control": name for name in students}
    return {model: _network(run, model, architecture=name) for model, name in named.items()}


def _network(run: Run, model: str, *, architecture: str) -> Callable[[Pixels], Scores]:
    import torch

    from distill.models import load_model
    from distill.stages.training import on_device
    from distill.training.batches import normalize

    folder = run.folder / chosen_folder(model)
    calibration = Calibration(**read_json(folder / "choice.json")["calibration"])
    network = on_device(run, load_model(run.recipe, architecture, folder / WEIGHTS))
    device = next(network.parameters()).device

    @torch.inference_mode()
    def judge(pixels: Pixels) -> Scores:
        images = normalize(torch.from_numpy(pixels).to(device), spec=run.recipe.preprocess)
        logits = network(images).logits.double().cpu().numpy() / calibration.temperature + calibration.bias
        return np.asarray((1 + np.tanh(logits / 2)) / 2)

    return judge


def _int8_artifacts(run: Run) -> dict[str, Callable[[Pixels], Scores]]:
    from deploy.runtime import Detector

    found: dict[str, Callable[[Pixels], Scores]] = {}
    for name, model, runtime in int8_artifacts(run.recipe):
        folder = run.folder / artifact_folder(model, runtime=runtime, precision="int8")
        detector = Detector.load(folder, runtime=runtime, threads=1)
        found[name] = lambda pixels, it=detector: it.probabilities(it.run(pixels))  # type: ignore[misc]
    return found
