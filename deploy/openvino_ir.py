"""OpenVINO's model files (``.xml`` and ``.bin``): from ONNX, and whole or not at all. Torch-free."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.optional import require


def export_openvino(onnx_path: Path, *, path: Path) -> None:
    """Convert ``onnx_path`` to OpenVINO IR with FP32 weights: ``path`` (``.xml``) and a ``.bin`` beside it.

    Raises:
        EdgeproofError: OpenVINO cannot read the file.
    """
    openvino = require("openvino")
    try:
        model = openvino.convert_model(onnx_path)
    except Exception as error:  # the front end raises types of its own C++ layer
        reason = " ".join(str(error).split())[:200]
        raise EdgeproofError(f"{onnx_path}: openvino cannot convert it ({reason})") from error
    save_openvino(model, path)


def save_openvino(model: Any, path: Path) -> None:
    """Write an ``openvino.Model`` as ``path`` (``.xml``) and ``.bin``, without FP16 compression."""
    openvino = require("openvino")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as temporary:
        fresh = Path(temporary) / path.name
        openvino.save_model(model, fresh, compress_to_fp16=False)
        shutil.move(fresh.with_suffix(".bin"), path.with_suffix(".bin"))
        shutil.move(fresh, path)
