"""A training that was asked for over HTTP, turned into a command; and what such a recipe must not reach for."""

import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.service.forms import FitRequest
from deploy.service.problems import Problem
from deploy.service.settings import Settings
from distill.errors import EdgeproofError, MistakesError, unknown_name
from distill.files import parse_toml, write_text
from distill.overrides import apply_overrides
from distill.recipe import Recipe, parse_recipe, shipped_recipes, to_toml

# whose networks a recipe may name: theirs alone, for after another colon the libraries read folders and addresses
_OF_LIBRARIES = re.compile(r"(timm|torchvision|openclip):[A-Za-z0-9_.-]+")
_SPOKEN = frozenset({"description"})  # text for people
PYTHON = (sys.executable, "-P", "-m", "distill")  # nothing is imported from the folder it runs in


def fit_command(asked: FitRequest, *, settings: Settings, job: str) -> tuple[str, ...]:
    """The command of a training, whose recipe is checked and written down.

    Raises:
        EdgeproofError: mistakes in the recipe, all of them; or it reaches for modules, or for files that are not below the
            data folder.
        Problem: 501, this service cannot train.
    """
    if settings.data is None:
        raise Problem(501, "the service was started without --data FOLDER: nothing can be trained on")
    if find_spec("torch") is None:
        raise Problem(501, "training needs torch, which is not installed here; pip install 'edgeproof[all]'")
    recipe = _recipe_of(asked, root=settings.data)
    _check_reach(recipe.model_dump(mode="json"), root=settings.data)
    path = settings.state / "recipes" / f"{job}.toml"
    write_text(path, to_toml(recipe))
    return (
        "run", str(path), "--out", str(settings.runs / job), "--resume",
        "--progress", str(progress_file(settings, job)),
    )  # fmt: skip


def explore_command(path: Path, *, settings: Settings, job: str) -> tuple[str, ...]:
    """The command that explores a data set; what it prints is the JSON."""
    return ("data", "inspect", str(path), "--json", "--report", str(page_file(settings, job)))


def path_below(root: Path, given: str) -> Path:
    """A folder or file below ``root``; raises :class:`EdgeproofError` if nothing is there, or it is not below."""
    path = _resolved(root.resolve(), given)
    if path is None or not path.is_relative_to(root.resolve()) or not _is_there(path):
        raise EdgeproofError(f"data: found {given!r:.200}, expected a folder or file below the data folder")
    return path


def progress_file(settings: Settings, job: str) -> Path:
    """Where the job says how far it is."""
    return settings.state / "logs" / f"{job}.progress.json"


def log_file(settings: Settings, job: str) -> Path:
    """What the job wrote for people."""
    return settings.state / "logs" / f"{job}.log"


def output_file(settings: Settings, job: str) -> Path:
    """What the job printed: of a data set that was explored, the JSON."""
    return settings.state / "logs" / f"{job}.out"


def page_file(settings: Settings, job: str) -> Path:
    """The page about a data set that was explored."""
    return settings.state / "eda" / f"{job}.html"


def _text_of(asked: FitRequest) -> tuple[str, str]:
    """What the recipe is called in messages, and its TOML."""
    if (asked.recipe is None) == (asked.toml is None):
        raise EdgeproofError(
            "expected recipe, a shipped one's name, or toml, a whole one; and one of them only"
        )
    if asked.recipe is None:
        return "toml", str(asked.toml)
    shipped = shipped_recipes()
    if asked.recipe not in shipped:
        raise unknown_name(kind="recipe", given=asked.recipe[:80], choices=shipped)
    return asked.recipe, shipped[asked.recipe].read_text(encoding="utf-8")


def _recipe_of(asked: FitRequest, *, root: Path) -> Recipe:
    origin, text = _text_of(asked)
    try:
        values = parse_toml(text)
    except ValueError as error:
        raise EdgeproofError(f"{origin}: not valid TOML ({error})") from None
    overrides, mistakes = list(asked.overrides), list[str]()
    if asked.data is not None:
        try:
            overrides.append(f"data.path={json.dumps(str(path_below(root, asked.data)))}")
        except EdgeproofError as error:
            mistakes.append(str(error))
            overrides.append('data.path="missing"')
    apply_overrides(values, overrides)
    _check_reach(values, root=root)  # before it is resolved, for which files that it names are read
    try:
        recipe = parse_recipe(values, origin=origin)
    except MistakesError as error:
        raise MistakesError(*mistakes, *error.args) from None
    if mistakes:
        raise MistakesError(*mistakes)
    return recipe


def _check_reach(values: Any, *, root: Path) -> None:
    if mistakes := [*_reaching_out(values, root=root)]:
        raise MistakesError(*mistakes)


def _reaching_out(values: Any, *, root: Path, key: str = "") -> Iterator[str]:
    """What in a recipe names code or files that whoever may ask must not reach, a line each.

    A recipe of one's own machine may name a module to import; one that comes over a network must not. Its paths are read
    as below the data folder, where its process runs.
    """
    if isinstance(values, dict):
        for name, inner in values.items():
            if name not in _SPOKEN:
                yield from _reaching_out(inner, root=root, key=f"{key}.{name}".lstrip("."))
    elif isinstance(values, list):
        for inner in values:
            yield from _reaching_out(inner, root=root, key=key)
    elif isinstance(values, str) and (told := _reach_of(values, root=root.resolve())):
        yield f"{key}: given {values!r:.200}, {told}"


def _reach_of(text: str, *, root: Path) -> str:
    path = _resolved(root, text)
    if path is None or not path.is_relative_to(root):
        return "expected a path below the data folder"
    if ":" in text and not _OF_LIBRARIES.fullmatch(text) and not _is_there(path):
        return "a module's name, which the service does not import, or an address"
    return ""


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name longer than any
        return False


def _resolved(root: Path, text: str) -> Path | None:
    """Where a path leads, links followed; None for text that can be none."""
    try:
        return (root / Path(text).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
