"""A user's own teachers, students, methods and quantizers, found by name. Torch-free.

A name is looked up in the project's table, then among the entry points of installed packages (group
``edgeproof.<family>``), and may be ``module:factory``, which works in every process that can import the module.
"""

import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar

from distill.errors import EdgeproofError, unknown_name

Part = TypeVar("Part")
Family = Literal["teachers", "students", "methods", "quantizers"]


def find_part(
    family: Family, name: str, *, table: Mapping[str, Part], kind: str, also: Iterable[str] = ()
) -> Part:
    """What ``name`` means; ``kind`` is the word for it in messages, which offer the names ``also`` too.

    Raises:
        EdgeproofError: an unknown name (with the choices), or a module or factory that cannot be imported.
    """
    if name in table:
        return table[name]
    installed = entry_points(group=f"edgeproof.{family}")
    if name in installed.names:
        found: Part = _loaded(name, installed[name].load, kind=kind)
        return found
    if ":" in name:
        found = _loaded(name, lambda: _imported(name), kind=kind)
        return found
    known = unknown_name(kind=kind, given=name, choices=[*table, *also, *installed.names])
    raise EdgeproofError(f"{known}, or name your own as module:factory")


def installed_names(family: Family) -> list[str]:
    """Names that other installed packages add."""
    return sorted(entry_points(group=f"edgeproof.{family}").names)


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())  # an entry point script has its own folder there instead
    if here not in sys.path:
        sys.path.append(here)
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def _loaded(name: str, load: Any, *, kind: str) -> Any:
    try:
        return load()
    except Exception as error:  # whatever a user's module does when it is imported
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EdgeproofError(
            f"{kind} {name!r}: cannot be imported ({reason}), expected module:factory"
        ) from error
