"""Where things stand in a run folder. Torch-free; the only home of these names."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.samples import Dataset, Sample, Skipped
from distill.errors import EdgeproofError
from distill.files import atomic_path, read_json, write_json

EVALUATED = ("valid", "test", "heldout", "control")
SAMPLES = "data/samples.json"
SUMMARY = "data/summary.json"
AUDIT = "data/audit.json"
TEACHER = "teacher"
TEACHER_OUTPUTS = "teacher/outputs.safetensors"
WEIGHTS = "weights.safetensors"
PREDICTIONS = "predictions.npz"
KINDS = ("distilled", "control")


def training_folder(student: str, *, seed: int, kind: str) -> str:
    """Where one training of a student leaves its files."""
    return f"students/{student}/seed{seed}/{kind}"


def chosen_folder(model: str) -> str:
    """Where the deployable weights of ``teacher``, ``<student>`` or ``<student>/control`` stand."""
    return TEACHER if model == TEACHER else f"students/{model}"


def artifact_folder(model: str, *, runtime: str, precision: str) -> str:
    """Where an artifact stands."""
    return f"artifacts/{model}-{runtime}-{precision}"


def artifact_predictions(model: str, *, runtime: str, precision: str) -> str:
    """What an artifact said of the evaluated splits."""
    return f"predictions/{model}-{runtime}-{precision}.npz"


def save_dataset(dataset: Dataset, run: Path) -> None:
    """Remember the samples that every later stage uses."""
    content = {
        "root": str(dataset.root.resolve()),
        "layout": dataset.layout,
        "samples": [asdict(sample) for sample in dataset.samples],
        "skipped": [asdict(item) for item in dataset.skipped],
    }
    write_json(run / SAMPLES, content)


def load_dataset(run: Path) -> Dataset:
    """The data set of a run."""
    path = run / SAMPLES
    if not path.is_file():
        raise EdgeproofError(f"{path}: no such file, expected the list of samples that the data stage writes")
    content = read_json(path)
    root = Path(content["root"])
    if not root.is_dir() and (run / "data" / "simulated").is_dir():
        root = run / "data" / "simulated"  # the run folder was moved
    return Dataset(
        root=root,
        layout=content["layout"],
        samples=tuple(_sample(item) for item in content["samples"]),
        skipped=tuple(Skipped(**item) for item in content["skipped"]),
    )


def _sample(item: dict[str, Any]) -> Sample:
    box = item["box"]
    return Sample(**{**item, "box": tuple(box) if box is not None else None})


def save_predictions(path: Path, logits: dict[str, npt.NDArray[Any]]) -> None:
    """Split → logits, as a plain ``.npz`` without pickles."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **logits)  # type: ignore[arg-type]


def load_predictions(path: Path) -> dict[str, npt.NDArray[Any]]:
    """What :func:`save_predictions` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
