"""A finished network's weights, whichever program wrote them, as tensors that fit a network here. Nothing is unpickled.

``.safetensors``, or what PyTorch's restricted loader (``weights_only=True``) takes: tensors, numbers and containers of
them, never objects, which could run code.
"""

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from distill.errors import EdgeproofError
from students.weights import first_line

PYTORCH = (".pt", ".pth", ".ckpt", ".bin")
SUFFIXES = (".safetensors", *PYTORCH)
_NESTS = (
    "state_dict",
    "model_state_dict",
    "model",
    "network",
    "net",
    "weights",
)  # what trainers keep a model under
_COUNTER = "num_batches_tracked"  # of BatchNorm: absent from older files, and without influence on the output

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Name → shape of all that a network's file must hold."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, out of the ``state_dict`` that a training framework put them in.

    Raises:
        EdgeproofError: another format, a damaged file, Python objects in it, or no tensors.
    """
    if path.suffix not in SUFFIXES:
        raise EdgeproofError(f"{path}: weights are read from {', '.join(SUFFIXES)}")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _restricted(path)
    except UnpicklingError as error:
        raise EdgeproofError(
            f"{path}: holds Python objects beside tensors ({_object(error)}), and to load them could run code; save the "
            "tensors alone: torch.save(model.state_dict(), 'weights.pt')"
        ) from None
    except (SafetensorError, OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise EdgeproofError(f"{path}: not a readable {path.suffix} file ({first_line(error)})") from None
    found = _unwrapped(content)
    if not found:
        keys = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise EdgeproofError(f"{path}: holds no tensors by name, found {keys:.200}; expected a state_dict")
    return found


def fit_tensors(
    state: Mapping[str, Tensor], *, expected: Shapes, origin: str, generated_class: int = 1
) -> dict[str, Tensor]:
    """The tensors under the names that a network here expects.

    What stands before a name (``model.``, ``module.``, ``_orig_mod.``) is left off; tensors elsewhere in the file, a
    loss's for one, are left out. A head of two classes becomes one logit, the difference of the two: the sigmoid of it
    is the softmax's probability of ``generated_class``, exactly.

    Args:
        state: of :func:`read_tensors`.
        expected: of :func:`shapes_of`.
        origin: names the file in messages.
        generated_class: which output of a two-class head means generated.

    Raises:
        EdgeproofError: weights that are missing, too many, or of another shape; names the first.
    """
    own = _shared_prefix(list(expected))
    names = {name.removeprefix(own): name for name in expected}
    prefix = _best_prefix(state, names)
    inside = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    found = {name: inside[short] for short, name in names.items() if short in inside}
    found |= {
        name: torch.zeros((), dtype=torch.int64)
        for name in expected
        if name.endswith(_COUNTER) and name not in found
    }
    found = {name: _one_logit(value, expected[name], generated_class) for name, value in found.items()}
    wrong = [
        name for name, shape in expected.items() if name not in found or tuple(found[name].shape) != shape
    ]
    extra = [prefix + short for short in inside if short not in names]
    if wrong or extra:
        raise EdgeproofError(f"{origin}: {_difference(wrong, extra, found=found, expected=expected)}")
    return found


def adopt_weights(model: nn.Module, path: Path, *, generated_class: int = 1) -> None:
    """Load the weights of any file that fits; see :func:`read_tensors` and :func:`fit_tensors`, also for what is raised."""
    fitted = fit_tensors(
        read_tensors(path), expected=shapes_of(model), origin=str(path), generated_class=generated_class
    )
    model.load_state_dict(fitted)


def _restricted(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the pickle of a file that is refused in the next moment
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (
            IndexError,
            TypeError,
            AttributeError,
            AssertionError,
        ) as error:  # where damage leads its reader
            raise ValueError(f"damaged: {first_line(error)}") from None


def _object(error: Exception) -> str:
    """Which one it was, out of PyTorch's long message."""
    text = str(error)
    return text.partition("GLOBAL ")[2].split()[0] if "GLOBAL " in text else first_line(error)


def _unwrapped(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    for nest in _NESTS:
        if found := _unwrapped(content.get(nest)):
            return found
    return {
        str(key): value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def _shared_prefix(names: list[str]) -> str:
    """The modules that all names begin with, dots included: what a wrapper of this project adds."""
    prefix = ""
    while names:
        heads = {name.removeprefix(prefix).partition(".")[0] for name in names}
        if len(heads) != 1 or not all(name.startswith(f"{prefix}{next(iter(heads))}.") for name in names):
            break
        prefix += f"{next(iter(heads))}."
    return prefix


def _best_prefix(state: Mapping[str, Tensor], names: Mapping[str, str]) -> str:
    """What stands before most of the names; of several equally good ones no running average, then the shortest."""
    votes: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in names:
                votes["".join(f"{part}." for part in parts[:cut])] += 1
    return min(votes, key=lambda prefix: (-votes[prefix], "ema" in prefix, len(prefix)), default="")


def _one_logit(value: Tensor, shape: tuple[int, ...], generated: int) -> Tensor:
    if value.ndim and tuple(value.shape) == (2, *shape[1:]) and shape[:1] == (1,):
        return value[generated : generated + 1] - value[1 - generated : 2 - generated]
    return value


def _difference(wrong: list[str], extra: list[str], *, found: Mapping[str, Tensor], expected: Shapes) -> str:
    count = len(wrong) + len(extra)
    if not wrong:
        return f"{count} weights are not the network's, the first {extra[0]!r}"
    first = wrong[0]
    has = list(found[first].shape) if first in found else "nothing"
    head = (
        "; expected one logit or two classes (to train a backbone further, name its weights in options.weights)"
        if first in found and expected[first][:1] == (1,)
        else ""
    )
    return f"{count} weights do not fit; the first {first!r}: found {has}, expected {list(expected[first])}{head}"
