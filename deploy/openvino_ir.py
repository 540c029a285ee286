"""OpenVINO's model files (``.xml`` and ``.bin``): from ONNX, and whole or not at all. Torch-free."""

import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from distill.errors import refusal
from distill.optional import require

_GENERATED = re.compile(r"([A-Z][A-Za-z0-9]*)_\d+(?=/|$)")


@cache
def openvino_core() -> Any:
    """The process's one ``openvino.Core``, never released.

    Its CPU plugin gives the calling thread a signal stack, and takes it away when the last model goes; where two cores
    have come and gone, what is left is a stack that is no more, and the next signal that Python handles, a Ctrl-C or
    the end of a child process, kills the process (seen in OpenVINO 2026.4).
    """
    return require("openvino").Core()


def export_openvino(onnx_path: Path, *, path: Path) -> None:
    """Convert ``onnx_path`` to OpenVINO IR with FP32 weights: ``path`` (``.xml``) and a ``.bin`` beside it.

    Raises:
        EdgeproofError: OpenVINO cannot read the file.
    """
    openvino = require("openvino")
    try:
        model = openvino.convert_model(onnx_path)
    except Exception as error:  # the front end raises types of its own C++ layer
        text = " ".join(str(error).split())
        reason = (text.partition("Summary: -- ")[2] or text)[
            :200
        ]  # which operators, after where in OpenVINO's source
        raise refusal(
            f"{onnx_path.name}: openvino cannot convert it ({reason})", runtime="openvino"
        ) from error
    save_openvino(model, path)


def save_openvino(model: Any, path: Path) -> None:
    """Write an ``openvino.Model`` as ``path`` (``.xml``) and ``.bin``, without FP16 compression; equal models as equal files."""
    _number_anew(model)
    openvino = require("openvino")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as temporary:
        fresh = Path(temporary) / path.name
        openvino.save_model(model, fresh, compress_to_fp16=False)
        shutil.move(fresh.with_suffix(".bin"), path.with_suffix(".bin"))
        shutil.move(fresh, path)


def _number_anew(model: Any) -> None:
    """Rename in place what OpenVINO named by a counter that goes on as long as the process does (``Convert_26235``)."""
    numbers: dict[str, str] = {}
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        if found := _GENERATED.match(name):
            number = numbers.setdefault(found[0], f"{found[1]}_{len(numbers)}")
            node.set_friendly_name(number + name[found.end() :])
