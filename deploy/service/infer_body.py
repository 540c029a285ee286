"""The body of an inference of the Open Inference Protocol: JSON, or JSON with raw tensors behind it.

Specification of the second: Triton's binary tensor data extension, which its clients use unless told otherwise.
"""

import numpy as np
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from deploy.service.forms import InferRequest, Tensor
from deploy.service.problems import Problem

_HEAD = "inference-header-content-length"
_SIZE = "binary_data_size"
_LONGEST_HEAD = 18  # digits
_MOST_PARTS = 2**20
_EXAMPLE = {
    "inputs": [{"name": "encoded", "datatype": "BYTES", "shape": [1], "data": ["/9j/4AAQSkZJRg…"]}],
    "outputs": [{"name": "probability"}],
}
REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    }
}


async def infer_request(request: Request) -> InferRequest:
    """What is asked, with the data of every input in its place.

    Raises:
        RequestValidationError: no JSON, or another form.
        Problem: 422, the raw tensors are not as long as the JSON says.
    """
    body = await request.body()
    head = request.headers.get(_HEAD, str(len(body)))
    if not head.isdecimal() or len(head) > _LONGEST_HEAD or int(head) > len(body):
        raise Problem(422, f"{_HEAD}: found {head:.20}, expected at most the body's {len(body)} bytes")
    _check_nesting(body[: int(head)])
    try:
        asked = InferRequest.model_validate_json(body[: int(head)])
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    [tensor] = asked.inputs
    size = (tensor.parameters or {}).get(_SIZE)
    raw = body[int(head) :]
    if size is None and not raw:
        return asked
    if size != len(raw):
        raise Problem(422, f"{tensor.name}: {_SIZE} is {size!r:.20}, {len(raw)} bytes follow the JSON")
    return asked.model_copy(update={"inputs": (_filled(tensor, raw),)})


def _check_nesting(text: bytes) -> None:
    """Raise :class:`Problem` 422 for JSON of so many parts that reading it takes a hundred times its length in memory."""
    found = text.count(b"[") + text.count(b"{")
    if found > _MOST_PARTS:
        raise Problem(
            422,
            f"body: {found} lists and objects, at most {_MOST_PARTS} are read; send data flat, or as raw tensors",
        )


def _filled(tensor: Tensor, raw: bytes) -> Tensor:
    """UINT8 as it is; BYTES are elements with four bytes of length before each."""
    if tensor.datatype == "BYTES":
        return tensor.model_copy(update={"data": _elements(raw, name=tensor.name)})
    return tensor.model_copy(update={"data": np.frombuffer(raw, dtype=np.uint8)})


def _elements(raw: bytes, *, name: str) -> list[bytes]:
    found: list[bytes] = []
    start = 0
    while start < len(raw):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        if end > len(raw):
            raise Problem(422, f"{name}: element {len(found)} is longer than what follows")
        found.append(raw[start + 4 : end])
        start = end
    return found
