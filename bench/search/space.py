"""Students that a search may try: networks that are fast as INT8, in forms from tiny to capable. Torch-free."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Trial(Protocol):
    """What is used of ``optuna.Trial``."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """One of ``choices``."""


@dataclass(frozen=True)
class Form:
    """A student's architecture and its options; ``name`` tells forms apart and names the student in the recipe."""

    name: str
    architecture: str
    options: Mapping[str, Any]


_DEPTHS = {"1-1-1-1": (1, 1, 1, 1), "2-2-1-1": (2, 2, 1, 1), "2-2-2-1": (2, 2, 2, 1), "2-2-2-2": (2, 2, 2, 2)}


def _rep_cnn(trial: Trial) -> Form:
    stem = trial.suggest_categorical("rep_cnn.stem", [16, 32])
    first = trial.suggest_categorical("rep_cnn.first", [16, 32, 48])
    depths = trial.suggest_categorical("rep_cnn.depths", list(_DEPTHS))
    widths = [first * 2**stage for stage in range(4)]
    options = {"stem_width": stem, "widths": widths, "depths": list(_DEPTHS[depths])}
    return Form(f"rep_cnn-{stem}-{first}-{depths.replace('-', '')}", "rep_cnn", options)


def _small_cnn(trial: Trial) -> Form:
    base = trial.suggest_categorical("small_cnn.base", [16, 32])
    convolutions = trial.suggest_categorical("small_cnn.convolutions", [1, 2])
    options = {"base_channels": base, "convs_per_block": convolutions}
    return Form(f"small_cnn-{base}-{convolutions}", "small_cnn", options)


def _mobilenet_v2(trial: Trial) -> Form:
    width = trial.suggest_categorical("mobilenet_v2.width", [0.35, 0.5, 0.75])
    return Form(f"mobilenet_v2-{width}", "mobilenet_v2", {"width_mult": width})


SPACES: dict[str, Callable[[Trial], Form]] = {
    "rep_cnn": _rep_cnn,
    "small_cnn": _small_cnn,
    "mobilenet_v2": _mobilenet_v2,
}


def draw(trial: Trial, architectures: tuple[str, ...] = tuple(SPACES)) -> Form:
    """The form that a trial stands for."""
    return SPACES[trial.suggest_categorical("student", list(architectures))](trial)
