"""Parts of a network that no quantizer touches: classical heads, spectra. Their operators are marked by name. Torch-free.

Names change from export to export, so the mark is written into the file while the exporter still tells which submodule an
operator came from; later tools read it there.
"""

from collections.abc import Iterable
from typing import Any

MARK = "in_float/"
_SCOPES = "pkg.torch.onnx.name_scopes"


def mark(proto: Any, *, scopes: Iterable[str]) -> None:
    """Mark the operators of an exported ``onnx.ModelProto`` that come from the submodules ``scopes``; needs its metadata."""
    quoted = [f"'{scope}'" for scope in scopes]
    for node in proto.graph.node:
        known = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
        if any(scope in known for scope in quoted):
            node.name = f"{MARK}{node.name}"


def is_marked(name: str) -> bool:
    """Whether an operator of that name stays in float."""
    return name.startswith(MARK)
