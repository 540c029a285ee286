"""Weights that come with the package: teachers trained by shipped recipes, each with a sidecar. Torch-free."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.files import read_json


def shipped_weights() -> dict[str, Path]:
    """Name → ``.safetensors`` file of every teacher that comes with the package."""
    return {path.stem: path for path in sorted(_folder().glob("*.safetensors"))}


def _folder() -> Path:
    """Found without importing ``teachers``, which needs torch."""
    spec = find_spec("teachers")
    if spec is None or not spec.submodule_search_locations:
        raise EdgeproofError("the package 'teachers' is not installed, expected it beside 'distill'")
    return Path(spec.submodule_search_locations[0]) / "pretrained"


def find_weights(given: str, *, key: str) -> Path:
    """The checkpoint that a recipe names: a shipped one, or a file.

    Args:
        given: name of shipped weights, or path of a ``.safetensors`` file.
        key: of the recipe, for the message.

    Raises:
        EdgeproofError: neither.
    """
    shipped = shipped_weights()
    if given in shipped:
        return shipped[given]
    path = Path(given).expanduser()
    if not path.is_file():
        raise EdgeproofError(
            f"{key}: {given}: no such file, expected a .safetensors checkpoint or shipped weights: "
            f"{', '.join(shipped) or 'none'}"
        )
    return path


def resolve_shipped(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's section of a teacher, with what the sidecar says where it names shipped weights as its ``name``."""
    path = shipped_weights().get(str(values["name"])) if "name" in values else None
    if path is None:
        return values
    about = read_about(path)
    known = {"options": about["options"], "preprocess": about["preprocess"], "weights": path.stem}
    return {**known, **values, "name": about["architecture"]}


def read_about(path: Path) -> dict[str, Any]:
    """What the sidecar of a checkpoint says; nothing where there is none. Its hash is verified when it is adopted."""
    side = path.with_suffix(".json")
    if not side.is_file():
        return {}
    try:
        return dict(read_json(side))
    except (ValueError, TypeError) as error:
        raise EdgeproofError(f"{side}: not a valid sidecar ({error}), expected a JSON object") from None
