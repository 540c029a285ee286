"""What every model says of degraded test images; ``bench.degradations`` judges it. Torch is imported when it runs.

Each image is decoded once, degraded, preprocessed and shown to all models. FP32 models run in PyTorch, in batches:
students alone exist nowhere else, a GPU is used where there is one, and a CPU takes no longer than in the other
runtimes. INT8 runs in the runtime it was made for.
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
from distill.pipeline.runfolder import WEIGHTS, load_arrays, load_samples, save_arrays
from distill.pipeline.stage import Progress, Run
from distill.preprocess import Pixels, PreprocessSpec
from distill.roster import Artifact, Model

OUTPUTS = "degradations.npz"  # beside the predictions, where a model may have any name
Scores = npt.NDArray[np.float64]
_IMAGES = 8  # at once: with all their degradations they are one batch of 144
_MODEL = "model/"


@dataclass(frozen=True)
class DegradedOutputs:
    """Probabilities of *generated* on degraded images.

    Attributes:
        samples: ``[N]`` indices into the test split.
        degradations: ``[D]`` names.
        probabilities: model → ``[D, N]``; a model is named by its key in the roster.
    """

    samples: npt.NDArray[np.int64]
    degradations: tuple[str, ...]
    probabilities: dict[str, Scores]


def predict_degraded(
    run: Run, progress: Progress, *, models: Sequence[Model], artifacts: Sequence[Artifact]
) -> None:
    """Write :data:`OUTPUTS`."""
    dataset = load_samples(run.folder)
    test = dataset.split("test")
    chosen = sample_groups(test, at_most=run.recipe.degradations.samples, seed=run.recipe.seed)
    judges = {model.key: (model.preprocess, _network(run, model)) for model in models}
    judges |= {item.key: (item.model.preprocess, _detector(run, item)) for item in artifacts}
    found: dict[str, list[Scores]] = {name: [] for name in judges}
    for start in range(0, len(chosen), _IMAGES):
        samples = [test[index] for index in chosen[start : start + _IMAGES]]
        pixels = {spec: _degraded(dataset.root, samples, spec=spec) for spec, _ in judges.values()}
        for name, (spec, judge) in judges.items():
            found[name].append(judge(pixels[spec]).reshape(len(samples), len(DEGRADATIONS)))
        progress(min(start + _IMAGES, len(chosen)), len(chosen))
    content = {f"{_MODEL}{name}": np.concatenate(parts).T for name, parts in found.items()}
    names = np.array(list(DEGRADATIONS))
    save_arrays(run.folder / OUTPUTS, {"samples": chosen, "degradations": names, **content})


def load_degraded(run: Path) -> DegradedOutputs:
    """What :func:`predict_degraded` wrote."""
    content = load_arrays(run / OUTPUTS)
    return DegradedOutputs(
        samples=content["samples"],
        degradations=tuple(content["degradations"].tolist()),
        probabilities={
            name.removeprefix(_MODEL): values for name, values in content.items() if name.startswith(_MODEL)
        },
    )


def sample_groups(samples: Sequence[Sample], *, at_most: int, seed: int) -> npt.NDArray[np.int64]:
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


def _degraded(root: Path, samples: Sequence[Sample], *, spec: PreprocessSpec) -> Pixels:
    """``uint8 [N * D, S, S, 3]``; of ``tiles`` the middle one, as in every evaluation."""
    crop = one_crop(spec)
    return np.concatenate(
        [
            crop.apply(degrade(image, name, sample=sample))
            for sample in samples
            for image in (open_image(root, sample),)
            for name in DEGRADATIONS
        ]
    )


def _network(run: Run, model: Model) -> Callable[[Pixels], Scores]:
    import torch

    from distill.evaluation.choice import choice_of
    from distill.models import load_model
    from distill.probe import device_of
    from distill.stages.training import on_device
    from distill.task import find_task
    from distill.training.normalize import normalize

    task, calibration = find_task(run.recipe.task), choice_of(run.folder, model).calibration
    network = on_device(run, load_model(run.recipe, model, run.folder / model.folder / WEIGHTS))
    device = device_of(network)

    @torch.inference_mode()
    def judge(pixels: Pixels) -> Scores:
        images = normalize(torch.from_numpy(pixels).to(device), spec=model.preprocess)
        logits = network(images).logits.double().cpu().numpy()
        return task.generated(task.probabilities(logits, calibration=calibration))

    return judge


def _detector(run: Run, artifact: Artifact) -> Callable[[Pixels], Scores]:
    from deploy.runtime import Detector

    detector = Detector.load(run.folder / artifact.folder, runtime=artifact.runtime, threads=1)
    return lambda pixels: detector.generated(detector.run(pixels))
