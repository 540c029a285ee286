"""Packages that only some users install: import them when used, or say which extra has them. Torch-free."""

import importlib
from typing import Any

from distill.errors import EdgeproofError

EXTRAS = {
    "onnxruntime": "onnx", "openvino": "openvino", "nncf": "quantize", "onnx": "train",
    "psutil": "bench", "cpuinfo": "bench", "filelock": "train", "tomli_w": "train", "jinja2": "bench", "yaml": "bench",
    "c2pa": "provenance", "defusedxml": "provenance", "neural_compressor": "inc",
    "scipy": "train", "matplotlib": "bench", "optuna": "search",
    "fastapi": "serve", "uvicorn": "serve", "python_multipart": "serve", "prometheus_client": "serve",
    "telegram": "bot",
    "streamlit": "app", "av": "video", "pytorch_grad_cam": "cam", "open_clip": "clip", "lightgbm": "boosting",
    "ray": "scale", "ray.tune": "scale", "minisign": "sign", "skimage": "faces",
}  # fmt: skip


def require(package: str) -> Any:
    """Import ``package``.

    Raises:
        EdgeproofError: it cannot be imported; names the extra to install.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise EdgeproofError(
            f"package {package} cannot be imported ({error}); pip install 'edgeproof[{EXTRAS[package]}]'"
        ) from None
