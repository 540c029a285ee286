"""A network of somebody else's, by its name, ready to be exported: a library's classifier or ``package.module:factory``."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from distill.errors import EdgeproofError
from distill.networks import LIBRARIES, find_network
from distill.probe import probe
from distill.wrapped import wrap
from students.options import Factory, OptionError, build
from students.weights import first_line, load_state, read_state


def load_module(name: str, *, size: int, num_logits: int = 1, weights: Path | None = None) -> nn.Module:
    """Build a network in evaluation mode. Nothing is downloaded.

    Args:
        name: ``timm:<name>``, ``torchvision:<name>`` or ``package.module:factory``. A factory is given ``num_logits``, and
            where it cannot do without ``image_size``, if it has parameters of these names.
        size: side in pixels of the images that it takes.
        num_logits: 1 for the binary task, K for K classes.
        weights: ``.safetensors`` file with all of its tensors, its classifier's too; untrained, or what the factory gives,
            without it.

    Returns:
        Normalized float ``[N, 3, size, size]`` → :class:`students.output.ModelOutput`.

    Raises:
        EdgeproofError: an unknown name, a factory that fails or gives no module, a module that cannot take images of that
            size or gives another number of logits, or weights that do not fit.
    """
    factory = find_network(name)
    try:
        module = _sized(name, factory, size=size, num_logits=num_logits)
        if weights is not None:
            state = read_state(weights)
            load_state(_namesake(module, state), state, source=str(weights), head=())
    except OptionError as error:
        raise EdgeproofError(f"{name}: {error}") from None
    return module.eval()


def is_untrained(name: str) -> bool:
    """Whether a network of that name has no weights of its own: a library's, built without any."""
    return name.startswith(tuple(library.partition("<")[0] for library in LIBRARIES))


def _sized(name: str, factory: Factory, *, size: int, num_logits: int) -> nn.Module:
    """A network that takes images of that size; vision transformers are told it, since they refuse it otherwise."""
    if not callable(factory):
        raise OptionError(
            f"found {type(factory).__name__}, expected what gives a torch.nn.Module when it is called"
        )
    told = [{"image_size": size}] if "image_size" in inspect.signature(factory).parameters else []
    refusals: list[OptionError] = []
    for options in ({}, *told):
        try:
            return _checked(name, factory, options, size=size, num_logits=num_logits)
        except OptionError as error:
            refusals.append(error)
    raise refusals[0]


def _checked(
    name: str, factory: Factory, options: Mapping[str, Any], *, size: int, num_logits: int
) -> nn.Module:
    try:
        found: Any = build(
            kind="network", name=name, table={name: factory}, num_logits=num_logits, options=options
        )
        if not isinstance(found, nn.Module):
            raise OptionError(f"gives {type(found).__name__}, expected a torch.nn.Module")
        module = wrap(found, image_size=size)
        logits = probe(module, size=size).logits
    except OptionError:
        raise
    except Exception as error:  # whatever somebody else's code does
        raise OptionError(f"cannot be built and asked ({first_line(error)})") from error
    if (count := 1 if logits.ndim == 1 else int(logits.shape[1])) != num_logits:
        more = "; K classes have K names (--labels)" if num_logits == 1 else ""
        raise OptionError(f"gives {count} logits, expected {num_logits}{more}")
    return module


def _namesake(module: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Of a network and what it wraps, the one whose tensors are called as those of a file."""
    inner = [
        found for name in ("module", "network") if isinstance(found := getattr(module, name, None), nn.Module)
    ]
    return max([*inner, module], key=lambda candidate: len(state.keys() & candidate.state_dict().keys()))
