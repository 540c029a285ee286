"""An artifact's model for several images a call, made without torch. Torch-free."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from deploy.artifact import MODEL_FILES, Manifest
from deploy.openvino_ir import openvino_core, save_openvino
from deploy.sessions import EngineOptions, open_session
from deploy.variants import Changes, write_variant
from distill.errors import EdgeproofError
from distill.forms import Runtime

_TOLERANCE = 1e-3  # of a logit, relative above 1: a batch may be summed in another order


def why_not_batched(runtime: Runtime) -> str | None:
    """Why no batch can be made for ``runtime`` here; None if one can be tried."""
    if runtime == "onnxruntime" and find_spec("onnx") is None:
        return "another batch needs the package onnx, not installed; pip install 'edgeproof[train]'"
    return None


def write_batched(folder: Path, manifest: Manifest, *, runtime: Runtime, batch: int, out: Path) -> None:
    """Write the artifact's model for ``batch`` images of one call into the new folder ``out``, after it agreed with it.

    Raises:
        EdgeproofError: the model insists on one image, or answers otherwise for several.
    """
    if runtime == "onnxruntime":
        write_variant(folder, Changes(batch=batch), out=out)
        return
    path = folder / MODEL_FILES[runtime][0]
    model = openvino_core().read_model(str(path))
    try:
        model.reshape({"image": [batch, *manifest.input.shape[1:]]})
        shapes = {output.get_any_name(): output.get_partial_shape().to_string() for output in model.outputs}
    except Exception as error:  # OpenVINO raises types of its own C++ layer
        reason = " ".join(str(error).split())[:200]
        raise EdgeproofError(f"{path}: cannot take {batch} images a call ({reason})") from error
    if not all(shape.startswith(f"[{batch}") for shape in shapes.values()):
        raise EdgeproofError(f"{path}: answers {shapes} for {batch} images, expected {batch} answers")
    out.mkdir(parents=True)
    save_openvino(model, out / path.name)
    _check(folder, out, runtime=runtime, output=manifest.outputs[1])


def _check(folder: Path, batched: Path, *, runtime: Runtime, output: str) -> None:
    one, several = (_request(place, runtime=runtime, output=output) for place in (folder, batched))
    several.pixels[:] = np.random.default_rng(0).integers(0, 256, several.pixels.shape, dtype=np.uint8)
    several.infer()
    for pixels, found in zip(several.pixels, several.logits, strict=True):
        one.pixels[0] = pixels
        one.infer()
        if not np.allclose(found, one.logits[0], rtol=_TOLERANCE, atol=_TOLERANCE):
            raise EdgeproofError(
                f"{folder}: an image in a batch gets the logit {found}, expected {one.logits[0]} as alone"
            )


def _request(folder: Path, *, runtime: Runtime, output: str) -> Any:
    session = open_session(folder, runtime=runtime, output=output, options=EngineOptions(threads=1))
    return session.request()
