"""An artifact's network for another input size, to be timed and for nothing else: it never learned that size. Torch-free."""

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np

from bench.contestants.source import sample_pixels
from deploy.artifact import MODEL_FILES, Manifest, read_manifest, verify, write_artifact
from deploy.openvino_ir import openvino_core, save_openvino
from deploy.sessions import EngineOptions, installed_runtimes, open_session
from distill.errors import EdgeproofError
from distill.files import write_bytes
from distill.forms import Runtime
from distill.optional import require
from distill.task import task_of_labels


def resized_or_why(folder: Path, size: int, *, out: Path) -> Path | str:
    """The artifact with ``size`` × ``size`` pixels, made in ``out`` unless it has that size; or why there is none."""
    try:
        if read_manifest(folder).preprocess.size == size:
            return folder  # what is wrong with it, its rows will say
        write_resized(folder, verify(folder), size=size, out=out)
    except EdgeproofError as error:
        return str(error)
    return out


def write_resized(folder: Path, manifest: Manifest, *, size: int, out: Path) -> None:
    """Write the artifact with every network reshaped to ``size`` × ``size`` pixels, once each gave a finite answer.

    Raises:
        EdgeproofError: a network that insists on its own size, or a package that is missing.
    """
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as temporary:
        files = {
            name: path
            for runtime in cast(tuple[Runtime, ...], manifest.runtimes)
            for name, path in _model(folder, manifest, runtime=runtime, size=size, out=Path(temporary))
        }
        write_artifact(
            out,
            name=manifest.name,
            files=files,
            preprocess=manifest.preprocess.model_copy(update={"size": size}),
            task=task_of_labels(manifest.task, manifest.labels),
            **{
                name: getattr(manifest, name)
                for name in ("threshold", "band", "calibration", "precision", "parent", "quantizer", "data")
            },
        )


def _model(
    folder: Path, manifest: Manifest, *, runtime: Runtime, size: int, out: Path
) -> Iterator[tuple[str, Path]]:
    names = MODEL_FILES[runtime]
    source = folder / names[0]
    try:
        (_reshape_openvino if runtime == "openvino" else _reshape_onnx)(source, out / names[0], size=size)
        if runtime in installed_runtimes():
            _check(out, runtime=runtime, output=manifest.outputs[1], size=size)
    except EdgeproofError:
        raise
    except Exception as error:  # engines and onnx raise types of their own C++ layers
        reason = " ".join(str(error).split())[:200]
        own = manifest.preprocess.size
        raise EdgeproofError(
            f"{source}: takes {own} × {own} pixels and no {size} × {size} ({reason}); export its network for that size"
        ) from error
    yield from ((name, out / name) for name in names)


def _reshape_openvino(source: Path, path: Path, *, size: int) -> None:
    model = openvino_core().read_model(str(source))
    model.reshape({"image": [1, size, size, 3]})
    save_openvino(model, path)


def _reshape_onnx(source: Path, path: Path, *, size: int) -> None:
    if find_spec("onnx") is None:
        raise EdgeproofError(
            "another input size needs the package onnx, not installed; pip install 'edgeproof[train]'"
        )
    onnx = require("onnx")
    model = onnx.load(source)
    dimensions: list[Any] = list(model.graph.input[0].type.tensor_type.shape.dim)
    for dimension in dimensions[1:3]:
        dimension.dim_value = size
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    write_bytes(path, model.SerializeToString())


def _check(folder: Path, *, runtime: Runtime, output: str, size: int) -> None:
    session = open_session(folder, runtime=runtime, output=output, options=EngineOptions(threads=1))
    request = session.request()
    request.pixels[:] = sample_pixels(size)
    request.infer()
    if not np.isfinite(request.logits).all():
        raise EdgeproofError(
            f"{folder}: answers {request.logits} at {size} × {size} pixels, expected finite numbers"
        )
