"""Deployment: artifacts, export, quantizers, parity and the torch-free runtime.

From Python: :func:`export` a module, :func:`quantize` an artifact, load it with :class:`Detector`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.interface import export as export
    from deploy.interface import quantize as quantize
    from deploy.runtime import Detector as Detector

_HOMES = {"Detector": "deploy.runtime", "export": "deploy.interface", "quantize": "deploy.interface"}
__all__ = ["Detector", "export", "quantize"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a part needs no more than it uses."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
