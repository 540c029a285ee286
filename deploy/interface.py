"""Export and quantization from Python; the stages call the same functions."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.artifact import MODEL_FILES, package_versions, read_manifest, verify, write_artifact
from deploy.card import write_card
from deploy.quantization_record import FloatLayer, RepairRecord
from deploy.runtime import ImageLike, as_rgb
from distill.errors import EdgeproofError
from distill.evaluation.calibration import Calibration
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import BINARY, Task, task_of_labels

if TYPE_CHECKING:
    from torch import nn

_UNCALIBRATED = Calibration()
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def export(
    module: "nn.Module",
    spec: PreprocessSpec,
    *,
    out: str | Path | Mapping[str, str | Path],
    calibration: Calibration = _UNCALIBRATED,
    threshold: float | None = None,
    task: Task = BINARY,
    name: str = "model",
    data: str = "unknown",
    parent: str | None = None,
) -> Path:
    """Write a network as an FP32 artifact: pixels in, calibrated probability out.

    Args:
        module: normalized float ``[N, 3, S, S]`` → logits or a ``ModelOutput``; left as it was found.
        spec: how images become its input.
        out: the artifact's folder, with models for ONNX Runtime and OpenVINO; or a folder for each runtime.
        calibration: of its logits.
        threshold: on the probability of *generated*, 0.5 unless given; K classes have none.
        task: what it answers.
        name: what the manifest calls it.
        data: what it was trained on.
        parent: SHA-256 of the checkpoint it was made from.

    Returns:
        The artifact's folder (the first, if there are several).

    Raises:
        EdgeproofError: the module cannot be exported, or a folder holds something else.
    """
    from deploy.onnx_graph import export_onnx, export_openvino
    from distill.wrapped import wrap

    if threshold is None and task.kind == "binary":
        threshold = 0.5
    folders = dict(out) if isinstance(out, Mapping) else {runtime: out for runtime in MODEL_FILES}
    network = wrap(module, image_size=spec.size)
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        onnx = Path(temporary, "model.onnx")
        export_onnx(network, preprocess=spec, calibration=calibration, task=task, path=onnx)
        if "openvino" in folders:
            export_openvino(onnx, path=Path(temporary, "model.xml"))
        for folder in dict.fromkeys(map(Path, folders.values())):
            runtimes = [runtime for runtime, place in folders.items() if Path(place) == folder]
            write_artifact(
                folder,
                name=name,
                files={file: Path(temporary, file) for runtime in runtimes for file in MODEL_FILES[runtime]},
                preprocess=spec,
                threshold=threshold,
                calibration=calibration,
                precision="fp32",
                task=task,
                parent=parent,
                versions=package_versions("torch", "onnx", *runtimes),
                data=data,
            )
            write_card(folder)
    return Path(next(iter(folders.values())))


def quantize(
    artifact: str | Path,
    calibration: str | Path | Iterable[ImageLike],
    *,
    out: str | Path,
    tool: str = "nncf",
    settings: Mapping[str, Any] | None = None,
    samples: int = 256,
    name: str | None = None,
    float_layers: Sequence[FloatLayer] = (),
) -> Path:
    """Write the INT8 form of an FP32 artifact.

    Args:
        artifact: its folder.
        calibration: training images, of both classes, never test images: a folder (every photo in it), or paths,
            Pillow images or uint8 arrays ``[H, W, 3]``.
        out: the new artifact's folder.
        tool: a name that ``edgeproof list quantizers`` shows; it decides the runtime.
        settings: of the tool.
        samples: how many of the images are used at most, drawn at random (the same ones each time).
        name: what the manifest calls this quantization; the tool by default.
        float_layers: layers that stay in float, of those that the quantizer's ``find_layers`` finds.

    Returns:
        ``out``. The threshold is the parent's: judge it again on validation images, INT8 may shift it.

    Raises:
        EdgeproofError: no such artifact or tool, an unknown setting, no images, or no layer that could be quantized.
    """
    from deploy.quantizers import find_quantizer

    source, quantizer = Path(artifact), find_quantizer(tool)
    parent = verify(source)
    files = MODEL_FILES[quantizer.runtime]
    if quantizer.runtime not in parent.runtimes:
        raise EdgeproofError(
            f"{source}: {tool} makes models for {quantizer.runtime}, "
            f"the artifact holds models for {', '.join(parent.runtimes)}"
        )
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        record = quantizer.quantize(
            source=source / files[0],
            output=Path(temporary, files[0]),
            images=_inputs(calibration, spec=parent.preprocess, at_most=samples),
            settings=settings,
            name=name,
            float_layers=float_layers,
        )
        write_artifact(
            Path(out),
            name=parent.name,
            files={file: Path(temporary, file) for file in files},
            preprocess=parent.preprocess,
            threshold=parent.threshold,
            calibration=parent.calibration,
            precision="int8",
            task=task_of_labels(parent.task, parent.labels),
            parent=parent.parent,
            quantizer=record,
            versions=package_versions(quantizer.runtime),
            data=parent.data,
        )
    write_card(Path(out))
    return Path(out)


def rewrite(
    source: str | Path, out: str | Path, *, threshold: float | None, repair: RepairRecord | None = None
) -> None:
    """Write an artifact anew with another threshold, and what was needed; its models stay as they are, byte for byte.

    Args:
        source: its folder.
        out: the new one's; may be the same.
        threshold: on the probability of *generated*; None for K classes.
        repair: what was needed so that INT8 keeps its score, if that was judged.
    """
    folder = Path(source)
    found = read_manifest(folder)
    quantizer = found.quantizer and found.quantizer.model_copy(update={"repair": repair})
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        for file in found.files:
            shutil.copyfile(folder / file, Path(temporary, file))
        write_artifact(
            Path(out),
            name=found.name,
            files={file: Path(temporary, file) for file in found.files},
            preprocess=found.preprocess,
            threshold=threshold,
            calibration=found.calibration,
            precision=found.precision,
            task=task_of_labels(found.task, found.labels),
            metrics=found.metrics,
            parent=found.parent,
            quantizer=quantizer,
            versions=found.versions,
            data=found.data,
        )


def _inputs(images: str | Path | Iterable[ImageLike], *, spec: PreprocessSpec, at_most: int) -> list[Pixels]:
    """``uint8 [1, S, S, 3]`` each, by the artifact's own preprocessing; of ``tiles`` the middle one."""
    crop = spec if spec.policy != "tiles" else spec.model_copy(update={"policy": "center_crop"})
    found: Sequence[ImageLike] = _photos(Path(images)) if isinstance(images, str | Path) else [*images]
    if len(found) > at_most:  # at random: every n-th of an alternating list would be of one class
        chosen = np.random.default_rng(0).permutation(len(found))[:at_most]
        found = [found[index] for index in sorted(chosen)]
    return [crop.apply(as_rgb(image, smallest=crop.smallest_decoded)) for image in found]


def _photos(folder: Path) -> list[ImageLike]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTOS)
    if not found:
        raise EdgeproofError(f"{folder}: holds no photos, expected calibration images")
    return list(found)
