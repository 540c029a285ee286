"""Weights that come with the package: teachers trained by shipped recipes, each with a sidecar. Torch-free."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec
from distill.recipe import Recipe
from distill.roster import Model


def shipped_weights() -> dict[str, Path]:
    """Name → ``.safetensors`` file of every teacher that comes with the package."""
    folder = Path(str(resources.files("teachers") / "pretrained"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


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


def check_weights(recipe: Recipe, model: Model) -> None:
    """Compare a teacher's finished weights with what the recipe says of it, as far as their sidecar tells.

    Raises:
        EdgeproofError: no such file, or a teacher of another architecture, task or normalization.
    """
    key = f"{model.section}.weights"
    path = find_weights(recipe.all_teachers[model.name].weights, key=key)
    about = read_about(path)
    for name, given in (("architecture", model.architecture), ("task", recipe.task)):
        if about.get(name, given) != given:
            raise EdgeproofError(f"{key}: {path}: {name} is {about[name]!r}, but the recipe says {given!r}")
    if "preprocess" in about:
        trained = PreprocessSpec.model_validate(about["preprocess"])
        for name in ("mean", "std"):
            found, given = getattr(trained, name), getattr(model.preprocess, name)
            if found != given:
                raise EdgeproofError(
                    f"{key}: {path}: was trained with {name} {list(found)}, but would be shown images with "
                    f"{list(given)}; set {model.section}.preprocess.{name}"
                )


def read_about(path: Path) -> dict[str, Any]:
    """What the sidecar of a checkpoint says; nothing where there is none. Its hash is verified when it is adopted."""
    side = path.with_suffix(".json")
    if not side.is_file():
        return {}
    try:
        return dict(json.loads(side.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise EdgeproofError(f"{side}: not a valid sidecar ({error}), expected a JSON object") from None
