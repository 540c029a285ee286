"""Checkpoints: ``.safetensors`` with a JSON sidecar. Nothing that is loaded is a pickle.

:func:`save_weights` / :func:`load_weights` keep a model alone; :class:`SafetensorsIO` keeps Lightning's whole
training state (optimizer, schedule, loops) so that a killed run goes on where it was.
"""

import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from distill.errors import EdgeproofError
from distill.files import parse_json, read_json, sha256, write_json, write_tensors
from students.heads import take_shapes

_TREE = "tree"


def save_weights(model: nn.Module, path: Path, *, sidecar: dict[str, Any]) -> None:
    """Write ``path`` (.safetensors) and beside it ``path.json`` with ``sidecar`` and the file's hash."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_tensors(path, state)
    write_json(path.with_suffix(".json"), {**sidecar, "sha256": sha256(path)})


def read_sidecar(path: Path) -> dict[str, Any]:
    """The JSON beside a checkpoint, its hash verified.

    Raises:
        EdgeproofError: a missing file, or weights that are not those the sidecar describes.
    """
    side = path.with_suffix(".json")
    for file in (path, side):
        if not file.is_file():
            raise EdgeproofError(
                f"{file}: no such file, expected a .safetensors checkpoint with its .json sidecar"
            )
    try:
        sidecar: dict[str, Any] = dict(read_json(side))
    except (ValueError, TypeError) as error:
        raise EdgeproofError(f"{side}: not a valid sidecar ({error}), expected a JSON object") from None
    found = sha256(path)
    if found != sidecar.get("sha256"):
        raise EdgeproofError(f"{path}: sha256 is {found}, its sidecar expects {sidecar.get('sha256')}")
    return sidecar


def load_weights(model: nn.Module, path: Path) -> None:
    """Load all weights of ``path`` into ``model``, strictly.

    Raises:
        EdgeproofError: a damaged file, weights of another model (names the first that differs), or NaN among them.
    """
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise EdgeproofError(f"{path}: not a readable .safetensors file ({error})") from None
    take_shapes(model, state)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if expected != found:
        names = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        first = names[0]
        raise EdgeproofError(
            f"{path}: {len(names)} weights do not fit the model; first {first!r}: "
            f"found {found.get(first, 'nothing')}, expected {expected.get(first, 'nothing')}"
        )
    broken = next((name for name, tensor in state.items() if not bool(tensor.isfinite().all())), None)
    if broken is not None:
        raise EdgeproofError(f"{path}: weight {broken!r} holds NaN or infinity, expected finite numbers")
    model.load_state_dict(state)


class SafetensorsIO(CheckpointIO):
    """Lightning's checkpoint in one safetensors file: its tensors, and the rest as JSON in the header."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write atomically."""
        tensors: dict[str, Tensor] = {}
        tree = _flatten(checkpoint, tensors)
        write_tensors(Path(path), tensors, metadata={_TREE: json.dumps(tree)})

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read what :meth:`save_checkpoint` wrote; raises :class:`EdgeproofError` if it is damaged."""
        try:
            with safe_open(path, framework="pt") as file:
                tree = parse_json((file.metadata() or {})[_TREE])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
        except (SafetensorError, KeyError, ValueError) as error:
            raise EdgeproofError(
                f"{path}: not a whole training state ({error}); delete it to start this training again"
            ) from None
        checkpoint: dict[str, Any] = _unflatten(tree, tensors)
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete the file."""
        Path(path).unlink(missing_ok=True)


def _flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Replace tensors by references, and containers by tagged lists (JSON has no integer keys, no tuples)."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        # the order in memory is part of the state: fused AdamW on a CPU pairs weights and moments by address
        nhwc = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
        return {"channels_last" if nhwc and not value.is_contiguous() else "tensor": name}
    if isinstance(value, dict):
        return {"dict": [[_flatten(key, tensors), _flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _unflatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "channels_last":
        return tensors[content].contiguous(memory_format=torch.channels_last)
    if kind == "dict":
        return {_unflatten(key, tensors): _unflatten(item, tensors) for key, item in content}
    items = [_unflatten(item, tensors) for item in content]
    return items if kind == "list" else tuple(items)


def pick_device(accelerator: str) -> torch.device:
    """The device that a recipe's ``training.accelerator`` means here."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise EdgeproofError(
            "training.accelerator: given 'gpu', but torch finds no CUDA device; use 'auto' or 'cpu'"
        )
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
