"""The Open Inference Protocol, version 2, for clients that speak it to any server (KServe, Triton).

Specification: https://github.com/kserve/open-inference-protocol
"""

import asyncio
import base64
import binascii
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Depends, Request

from deploy.runtime import Detector
from deploy.service.catalogue import Loaded
from deploy.service.desk import Desk, desk_of
from deploy.service.forms import InferRequest, Tensor
from deploy.service.infer_body import REQUEST_BODY, infer_request
from deploy.service.problems import Problem
from deploy.sessions import Logits
from distill.preprocess import Pixels

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
_DESK = Annotated[Desk, Depends(desk_of)]
_PIXELS, _ENCODED = "image", "encoded"
_PLATFORMS = {"onnxruntime": "onnxruntime_onnx", "openvino": "openvino_ir"}


@router.get("")
def server() -> dict[str, Any]:
    """What answers here."""
    return {"name": "edgeproof", "version": version("edgeproof"), "extensions": ["binary_tensor_data"]}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """Whether the process answers at all."""
    return {"live": True}


@router.get("/health/ready")
async def ready(desk: _DESK) -> dict[str, bool]:
    """Whether the active model is loaded; 503 or 404 if it cannot be."""
    await desk.model()
    return {"ready": True}


@router.get("/models/{name}")
async def metadata(name: str, desk: _DESK) -> dict[str, Any]:
    """The model's tensors. ``encoded`` takes whole photographs instead of pixels."""
    detector = (await desk.model(name)).detector
    manifest = detector.manifest
    classes = [] if manifest.task == "binary" else [len(manifest.labels)]
    return {
        "name": name,
        "versions": [],
        "platform": _PLATFORMS[detector.runtime],
        "inputs": [
            {"name": _PIXELS, "datatype": "UINT8", "shape": [-1, *manifest.input.shape[1:]]},
            {"name": _ENCODED, "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": output, "datatype": "FP32", "shape": [-1, *classes]} for output in manifest.outputs
        ],
    }


@router.get("/models/{name}/ready")
async def model_ready(name: str, desk: _DESK) -> dict[str, Any]:
    """Whether the model can answer; it is loaded if it was not."""
    return {"name": (await desk.model(name)).name, "ready": True}


@router.post("/models/{name}/infer", openapi_extra=REQUEST_BODY)
async def infer(name: str, request: Request, desk: _DESK) -> dict[str, Any]:
    """Calibrated probabilities and logits of one input: ``image``, pixels at the model's size, or ``encoded``."""
    asked = await infer_request(request)
    loaded = await desk.model(name)
    loop = asyncio.get_running_loop()
    work = partial(_logits, loaded, asked.inputs[0], most=desk.settings.max_images)
    logits = await loop.run_in_executor(desk.threads, work)
    found: dict[str, npt.NDArray[Any]] = {
        loaded.detector.manifest.outputs[0]: loaded.detector.probabilities(logits),
        loaded.detector.manifest.outputs[1]: logits,
    }
    answer: dict[str, Any] = {"model_name": loaded.name, "outputs": []}
    if asked.id is not None:
        answer["id"] = asked.id
    for output in _wanted(asked, tuple(found)):
        values = found[output]
        answer["outputs"].append(
            {"name": output, "datatype": "FP32", "shape": list(values.shape), "data": values.ravel().tolist()}
        )
    return answer


def _wanted(asked: InferRequest, outputs: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(str(output.get("name")) for output in asked.outputs or ())
    for name in names:
        if name not in outputs:
            raise Problem(422, f"outputs: found {name:.80}, expected {' or '.join(outputs)}")
    return names or outputs


def _logits(loaded: Loaded, tensor: Tensor, *, most: int) -> Logits:
    """``[N]`` or ``[N, K]``; of a photograph's several crops the mean."""
    if not 1 <= (tensor.shape or (0,))[0] <= most:
        raise Problem(422, f"inputs: shape {list(tensor.shape)}, expected 1 to {most} images")
    read = _READERS.get((tensor.name, tensor.datatype))
    if read is None:
        raise Problem(
            422,
            f"inputs: found {tensor.name} of {tensor.datatype}, expected {_PIXELS} of UINT8 or {_ENCODED} of BYTES",
        )
    return read(loaded.detector, tensor)


def _of_pixels(detector: Detector, tensor: Tensor) -> Logits:
    try:
        values = np.asarray(tensor.data).reshape(tensor.shape)  # nested or flat, as the protocol allows
    except (ValueError, TypeError, OverflowError):
        raise Problem(422, f"{_PIXELS}: the data do not fill the shape {list(tensor.shape)}") from None
    if not values.size or values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise Problem(422, f"{_PIXELS}: expected whole numbers from 0 to 255")
    pixels: Pixels = values.astype(np.uint8)
    return detector.run(pixels)


def _of_photographs(detector: Detector, tensor: Tensor) -> Logits:
    data = tensor.data if isinstance(tensor.data, list) else []
    if len(tensor.shape) != 1 or len(data) != tensor.shape[0]:
        raise Problem(422, f"{_ENCODED}: found {len(data)} photographs, expected {list(tensor.shape)}")
    spec, logits = detector.preprocessing(), []
    for number, text in enumerate(data):
        name = f"{_ENCODED}[{number}]"
        pixels, _ = detector.prepare(_bytes_of(text, name=name), spec=spec, name=name)
        logits.append(detector.run(pixels).mean(axis=0))
    return np.stack(logits).astype(np.float32)


def _bytes_of(text: object, *, name: str) -> bytes:
    """Of JSON base64; behind it they are what they are."""
    if isinstance(text, bytes):
        return text
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error:
        raise Problem(422, f"{name}: no base64, expected an encoded photograph in it") from None


_READERS: dict[tuple[str, str], Callable[[Detector, Tensor], Logits]] = {
    (_PIXELS, "UINT8"): _of_pixels,
    (_ENCODED, "BYTES"): _of_photographs,
}
