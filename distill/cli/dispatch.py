"""Verbs that take an artifact as well as a recipe: which of the two it is, and whose options these are."""

from collections.abc import Mapping
from pathlib import Path

from distill.errors import EdgeproofError

MANIFEST = "manifest.json"


def is_artifact(source: str) -> bool:
    """Whether ``source`` is an artifact's folder: one that holds a manifest."""
    return (Path(source) / MANIFEST).is_file()


def refuse_for_artifact(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` where an option of a recipe was given for an artifact."""
    for name in given(options):
        raise EdgeproofError(f"{name}: is for recipes and run folders, {source} is an artifact")


def refuse_for_recipe(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` where an option of an artifact was given for something else."""
    for name in given(options):
        raise EdgeproofError(
            f"{name}: is for artifacts, and {source} is none: expected a folder with {MANIFEST}"
        )


def require_options(source: str, options: Mapping[str, object]) -> None:
    """Raise :class:`EdgeproofError` that names the options that an artifact needs and that were not given."""
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise EdgeproofError(f"{source} is an artifact: expected {', '.join(missing)} too")


def given(options: Mapping[str, object]) -> list[str]:
    """The names of the options that were given."""
    return [name for name, value in options.items() if value not in (None, False, [])]
