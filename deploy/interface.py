"""Export and quantization from Python; the stages call the same functions."""

import copy
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.artifact import MODEL_FILES, Manifest, package_versions, read_manifest, verify
from deploy.card import write_card
from deploy.inputs import ImageLike, as_rgb
from deploy.metadata import write_described
from deploy.quantization_record import FloatLayer, RepairRecord
from deploy.runtime import Detector
from deploy.selftest import write_selftest
from distill.errors import EdgeproofError
from distill.evaluation.band import Band
from distill.evaluation.calibration import Calibration
from distill.preprocess import Pixels, PreprocessSpec
from distill.task import BINARY, Task, task_of_labels

if TYPE_CHECKING:
    from torch import nn

    from deploy.onnx_graph import DeployGraph

_UNCALIBRATED = Calibration()
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def export(
    module: "nn.Module",
    spec: PreprocessSpec,
    *,
    out: str | Path | Mapping[str, str | Path],
    calibration: Calibration = _UNCALIBRATED,
    threshold: float | None = None,
    band: Band | None = None,
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
        band: around it, where the answer is *not sure*; none unless given.
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
            write_described(
                folder,
                name=name,
                files={file: Path(temporary, file) for runtime in runtimes for file in MODEL_FILES[runtime]},
                preprocess=spec,
                threshold=threshold,
                band=band,
                calibration=calibration,
                precision="fp32",
                task=task,
                parent=parent,
                versions=package_versions("torch", "onnx", *runtimes),
                data=data,
            )
            write_selftest(folder)
            write_card(folder)
    return Path(next(iter(folders.values())))


def quantize(
    artifact: str | Path,
    calibration: str | Path | Iterable[ImageLike],
    *,
    out: str | Path,
    tool: str = "nncf",
    settings: Mapping[str, Any] | None = None,
    samples: int = 1000,
    name: str | None = None,
    float_layers: Sequence[FloatLayer] = (),
    network: "nn.Module | None" = None,
    task: Task | None = None,
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
        network: the module that the artifact was exported from, for a tool that quantizes it itself (``inc``).
        task: what ``network`` answers, if that is more than the artifact says (generator families).

    Returns:
        ``out``. The threshold and band are the parent's: judge them again on validation images, INT8 may shift them.

    Raises:
        EdgeproofError: no such artifact or tool, an unknown setting, no images, no layer that could be quantized, or no
            network, or another one than the artifact's, for a tool that needs it.
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
    images = _inputs(calibration, spec=parent.preprocess, at_most=samples)
    options: dict[str, Any] = {}
    if quantizer.needs_network and network is not None and images:
        options["network"] = _graph_of(network, source, parent=parent, task=task, image=images[0])
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        record = quantizer.quantize(
            source=source / files[0],
            output=Path(temporary, files[0]),
            images=images,
            settings=settings,
            name=name,
            float_layers=float_layers,
            **options,
        )
        write_described(
            Path(out),
            name=parent.name,
            files={file: Path(temporary, file) for file in files},
            preprocess=parent.preprocess,
            threshold=parent.threshold,
            band=parent.band,
            calibration=parent.calibration,
            precision="int8",
            task=task_of_labels(parent.task, parent.labels),
            parent=parent.parent,
            quantizer=record,
            versions=package_versions(quantizer.runtime),
            data=parent.data,
        )
    write_selftest(Path(out))
    write_card(Path(out))
    return Path(out)


def rewrite(
    source: str | Path,
    out: str | Path,
    *,
    threshold: float | None,
    band: Band | None = None,
    repair: RepairRecord | None = None,
    strata: Mapping[str, int] | None = None,
) -> None:
    """Write an artifact anew with another threshold and band, and what was needed; its models compute as they did.

    An ONNX file says its threshold, so that it changes with it; OpenVINO's stay as they are, byte for byte.

    Args:
        source: its folder.
        out: the new one's; may be the same.
        threshold: on the probability of *generated*; None for K classes.
        band: around it, where the answer is *not sure*; None leaves no such answer.
        repair: what was needed so that INT8 keeps its score, if that was judged.
        strata: how many calibration images there were of each kind.
    """
    folder = Path(source)
    found = read_manifest(folder)
    quantizer = found.quantizer and found.quantizer.model_copy(
        update={"repair": repair, "strata": dict(strata or {})}
    )
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        for file in found.files:
            shutil.copyfile(folder / file, Path(temporary, file))
        write_described(
            Path(out),
            name=found.name,
            files={file: Path(temporary, file) for file in found.files},
            preprocess=found.preprocess,
            threshold=threshold,
            band=band,
            calibration=found.calibration,
            precision=found.precision,
            task=task_of_labels(found.task, found.labels),
            metrics=found.metrics,
            parent=found.parent,
            quantizer=quantizer,
            versions=found.versions,
            data=found.data,
            selftest=found.selftest,
        )


def _graph_of(
    network: "nn.Module", folder: Path, *, parent: Manifest, task: Task | None, image: Pixels
) -> "DeployGraph":
    """What the artifact in ``folder`` was exported from, if ``network`` answers ``image`` as it does."""
    import torch

    from deploy.onnx_graph import DeployGraph
    from distill.wrapped import deployed_form, wrap

    graph = DeployGraph(
        deployed_form(copy.deepcopy(wrap(network, image_size=parent.preprocess.size))),
        preprocess=parent.preprocess,
        calibration=parent.calibration,
        task=task or task_of_labels(parent.task, parent.labels),
    )
    graph = graph.cpu().eval()
    try:
        with torch.no_grad():
            found = graph(torch.from_numpy(image))[1].numpy()
    except Exception as error:  # whatever another network does with these images
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EdgeproofError(
            f"{folder}: the network given cannot answer as the artifact does ({reason})"
        ) from error
    expected = Detector.load(folder, threads=1).run(image)
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-2):
        raise EdgeproofError(
            f"{folder}: the network given answers {np.round(found, 3).tolist()} where the artifact answers "
            f"{np.round(expected, 3).tolist()}, expected the network that the artifact was made from"
        )
    return graph


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
