"""Verbs that take an artifact as well as a recipe, or a network by its name: which it is, and whose options these are."""

from collections.abc import Mapping
from pathlib import Path

from distill.errors import EdgeproofError

MANIFEST = "manifest.json"


def is_artifact(source: str) -> bool:
    """Whether ``source`` is an artifact's folder: one that holds a manifest."""
    return (Path(source) / MANIFEST).is_file()


def is_module(source: str) -> bool:
    """Whether ``source`` names a network, as ``timm:NAME`` or ``package.module:factory`` do."""
    return ":" in source and not Path(source).exists()


def refuse_for_artifact(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` where an option of a recipe was given for an artifact."""
    for name in given(options):
        raise EdgeproofError(f"{name}: is for recipes and run folders, {source} is an artifact")


def refuse_for_module(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` where an option of an artifact or a recipe was given for a network's name."""
    for name in given(options):
        raise EdgeproofError(f"{name}: is for artifacts or recipes, {source} is the name of a network")


def refuse_as_module(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` where an option of a network's name was given for something else."""
    for name in given(options):
        raise EdgeproofError(
            f"{name}: is for networks, and {source} is none: expected timm:NAME, torchvision:NAME or package.module:factory"
        )


def refuse_for_recipe(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` where an option of an artifact was given for something else."""
    for name in given(options):
        raise EdgeproofError(
            f"{name}: is for artifacts, and {source} is none: expected a folder with {MANIFEST}"
        )


def require_options(source: str, options: Mapping[str, object], *, kind: str = "an artifact") -> None:
    """Raise :class:`EdgeproofError` that names the options that a ``source`` of this kind needs and that were not given."""
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise EdgeproofError(f"{source} is {kind}: expected {', '.join(missing)} too")


def given(options: Mapping[str, object]) -> list[str]:
    """The names of the options that were given."""
    return [name for name, value in options.items() if value not in (None, False, [])]
