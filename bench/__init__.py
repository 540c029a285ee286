"""Proof: latency and accuracy on this machine, and the report.

From Python: :func:`compare` artifacts and modules.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.interface import compare as compare

_HOMES = {"compare": "bench.interface"}
__all__ = ["compare"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that a part needs no more than it uses."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
