"""INT8 quantizers by name. Each backend imports its packages when it is used."""

from deploy.quantizers import nncf_openvino, ort_qdq
from deploy.quantizers.base import Quantizer

QUANTIZERS: dict[str, Quantizer] = {
    quantizer.name: quantizer for quantizer in (nncf_openvino.QUANTIZER, ort_qdq.QUANTIZER)
}

__all__ = ["QUANTIZERS", "Quantizer"]
