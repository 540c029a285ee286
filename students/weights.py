"""Weights from elsewhere: a local ``.safetensors`` file, or a library's own download. No pickles."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from students.options import OptionError

T = TypeVar("T")
log = logging.getLogger(__name__)


def load_weights(model: nn.Module, path: Path, *, head: tuple[str, ...]) -> None:
    """Load a local file whose tensor names are the model's own (see :func:`load_state`)."""
    load_state(model, read_state(path), source=str(path), head=head)


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` file.

    Raises:
        OptionError: the file is missing, of another format (pickled ``.pt``/``.pth`` included) or damaged.

    """
    if not path.is_file():
        raise OptionError(f"{path}: no such weights file")
    if path.suffix != ".safetensors":
        raise OptionError(
            f"{path}: weights are loaded from .safetensors only, since others may run code; "
            "convert it with safetensors.torch.save_file(state_dict, 'weights.safetensors')"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise OptionError(f"{path}: not a readable .safetensors file ({first_line(error)})") from None


def load_state(model: nn.Module, state: Mapping[str, Tensor], *, source: str, head: tuple[str, ...]) -> None:
    """Copy ``state`` into the model; only the classifier ``head`` (module names) may be missing or differ.

    A head of another shape is left untrained, and a warning is logged that says so.

    Raises:
        OptionError: any other tensor is missing, unexpected or of another shape, or one holds NaN or infinity.

    """
    expected = model.state_dict()
    is_head = {name: name.startswith(tuple(f"{module}." for module in head)) for name in {*expected, *state}}
    fits = {k: v for k, v in state.items() if k in expected and expected[k].shape == v.shape}
    # BatchNorm's step counter is absent from older files and has no influence on the output.
    lacking = [k for k in expected if k not in fits and not k.endswith("num_batches_tracked")]
    wrong = [k for k in lacking if not is_head[k]]
    wrong += [k for k in state if k not in expected and not is_head[k]]
    if wrong:
        raise OptionError(
            f"{source}: does not fit {type(model).__name__}, {_difference(wrong, expected, state)}"
        )
    broken = next((name for name, tensor in fits.items() if not bool(tensor.isfinite().all())), None)
    if broken is not None:
        raise OptionError(f"{source}: weight {broken} holds NaN or infinity, expected finite numbers")
    model.load_state_dict(fits, strict=False)
    if lacking:
        log.warning("%s: the classifier (%s) was left out and starts untrained", source, ", ".join(lacking))


def download(what: str, fetch: Callable[[], T]) -> T:
    """Run a library's own download of pretrained weights.

    Raises:
        OptionError: they cannot be had, whatever the reason; the message says how to give a local file.

    """
    try:
        return fetch()
    except Exception as error:  # each library raises whatever its network stack met
        raise OptionError(
            f"{what}: pretrained weights cannot be had ({first_line(error)}); "
            "give a local file with the option weights = '<file>.safetensors'"
        ) from error


def _difference(wrong: list[str], expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    def shape(tensors: Mapping[str, Tensor]) -> str:
        return str(list(tensors[wrong[0]].shape)) if wrong[0] in tensors else "nothing"

    found = f"{wrong[0]} has {shape(state)}, expected {shape(expected)}"
    return found if len(wrong) == 1 else f"{found} (and {len(wrong) - 1} more)"


def first_line(error: Exception) -> str:
    """What a library's error says, in one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
