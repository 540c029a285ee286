"""The forms that a model is run in. Light: what runs an artifact imports it, and not the recipe that made it."""

from typing import Literal

Runtime = Literal["onnxruntime", "openvino"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
RUNTIMES: tuple[Runtime, ...] = ("onnxruntime", "openvino")
