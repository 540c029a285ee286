"""Any ``nn.Module`` as a teacher or student: its logits, and named layers' outputs as features, by forward hooks."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from distill.probe import parts_of, probe
from students.options import OptionError
from students.output import ModelOutput, squeeze_binary


def wrap(module: nn.Module, *, layers: Sequence[str] = (), image_size: int = 64) -> nn.Module:
    """Give a plain module the output that methods and exports read; one that has it already is returned as it is.

    Args:
        module: normalized float ``[N, 3, H, W]`` → logits ``[N]``, ``[N, 1]`` or ``[N, K]``.
        layers: names of submodules (``named_modules``) whose outputs ``[N, C, H, W]`` become features, shallow to deep.
        image_size: side in pixels of an image that the module takes, to find out the features' channels.

    Raises:
        students.OptionError: a layer that is not there, or ``layers`` for a module that has features of its own.
    """
    if hasattr(module, "feature_channels"):
        if layers:
            raise OptionError(
                f"layers are {list(layers)}, but {type(module).__name__} names its own features"
            )
        return module
    return Wrapped(module, layers=tuple(layers), image_size=image_size)


def deployed_form(module: nn.Module) -> nn.Module:
    """What is exported and timed: the module itself, or what its own ``deployed()`` makes of one that trains with more."""
    make = getattr(module, "deployed", None)
    found: nn.Module = make() if callable(make) else module
    return found


class Wrapped(nn.Module):
    """A module between :class:`students.output.ModelOutput` and hooks; see :func:`wrap`."""

    def __init__(self, module: nn.Module, *, layers: tuple[str, ...], image_size: int) -> None:
        super().__init__()
        self.module, self.layers, self.image_size = module, layers, image_size
        self._caught = _Caught()
        found = dict(module.named_modules())
        for name in layers:
            if name not in found:
                raise OptionError(f"layer {name!r} is not in {type(module).__name__}; it has {_some(found)}")
            found[name].register_forward_hook(partial(_keep, self._caught, name))

    @cached_property
    def feature_channels(self) -> dict[str, int]:
        """Layer → channels, from images of zeros."""
        found = parts_of(self, size=self.image_size).features
        return {name: value.channels for name, value in found.items()}

    @property
    def num_logits(self) -> int:
        """Logits of one image, from images of zeros."""
        logits = probe(self, size=self.image_size).logits
        return 1 if logits.ndim == 1 else int(logits.shape[1])

    def forward(self, images: Tensor) -> ModelOutput:
        """Normalized ``[N, 3, H, W]`` → logits ``[N]`` or ``[N, K]``, and the layers' outputs."""
        logits = self.module(images)
        if not isinstance(logits, Tensor) or logits.ndim not in (1, 2):
            found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise OptionError(
                f"{type(self.module).__name__} gives {found}, expected logits [N], [N, 1] or [N, K]"
            )
        caught = self._caught.outputs
        features = {name: caught.pop(name) for name in self.layers if name in caught}
        missing = [name for name in self.layers if name not in features]
        if missing:
            raise OptionError(
                f"layer {missing[0]!r} takes no part in {type(self.module).__name__}'s forward pass"
            )
        return ModelOutput(squeeze_binary(logits) if logits.ndim == 2 else logits, features)


class _Caught:
    """What the hooks have seen. No bare dict: ``torch.export`` puts copies in the place of a module's containers."""

    def __init__(self) -> None:
        self.outputs: dict[str, Any] = {}


def _keep(caught: _Caught, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    caught.outputs[name] = output


def _some(names: dict[str, nn.Module]) -> str:
    shown = [name for name in names if name][:8]
    return ", ".join(shown) + (", ..." if len(names) - 1 > len(shown) else "")
