"""Weights that come with the package: teachers trained by shipped recipes, each with a sidecar. Torch-free."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.files import at_home, read_json

BLACK_BOX = "predictions"  # the architecture of a teacher that is a table of answers


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
        given: name of shipped weights, or path of a file.
        key: of the recipe, for the message.

    Raises:
        EdgeproofError: neither.
    """
    shipped = shipped_weights()
    if given in shipped:
        return shipped[given]
    path = at_home(given)
    if not path.is_file():
        raise EdgeproofError(
            f"{key}: {given}: no such file, expected a checkpoint (.safetensors, .pt, .pth, .ckpt) or shipped weights: "
            f"{', '.join(shipped) or 'none'}"
        )
    return path


def black_box(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's section of a teacher; of one that is a table of answers, without what describes a network."""
    if not values.get("predictions"):
        return values
    network = ("name", "options", "layers", "preprocess")
    return {
        "sees": "clean",
        **{key: value for key, value in values.items() if key not in network},
        "name": BLACK_BOX,
    }


def resolve_shipped(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's section of a teacher, with what the sidecar says where it names shipped weights as its ``name``."""
    path = shipped_weights().get(str(values["name"])) if "name" in values else None
    if path is None:
        return values
    about = read_about(path)
    known = {"options": about["options"], "preprocess": about["preprocess"], "weights": path.stem}
    return {**known, **values, "name": about["architecture"]}


def resolve_timm(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values, where finished ``timm:`` teachers see images as timm's ``pretrained_cfg`` says that they do.

    That is size, mean, std and interpolation, each only if the section's own ``preprocess`` does not give it; the policy
    is the recipe's, for timm always resizes. A sidecar beside the weights says it better, and is checked elsewhere.
    """
    found = dict(values)
    if isinstance(found.get("teacher"), dict):
        found["teacher"] = _seen_by_timm(found["teacher"], found)
    if isinstance(found.get("teachers"), dict):
        found["teachers"] = {
            name: _seen_by_timm(section, found) if isinstance(section, dict) else section
            for name, section in found["teachers"].items()
        }
    return found


def _seen_by_timm(section: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    name, weights, own = str(section.get("name", "")), section.get("weights"), section.get("preprocess")
    if not weights or not name.startswith("timm:") or not isinstance(own, dict | None):
        return section
    if "preprocess" in read_about(at_home(str(weights))):
        return section
    try:
        import timm
    except ImportError:  # a training will say so
        return section
    try:
        about = timm.get_pretrained_cfg(name.removeprefix("timm:"))
    except (RuntimeError, ValueError):  # no such tag, which is told where the network is built
        return section
    if about is None:
        return section
    known: dict[str, Any] = {"size": about.input_size[-1], "mean": tuple(about.mean), "std": tuple(about.std)}
    if about.interpolation in ("nearest", "bilinear", "bicubic", "lanczos"):
        known["interpolation"] = about.interpolation
    shared = recipe.get("preprocess")
    if isinstance(shared, dict) and "policy" in shared:
        known["policy"] = shared["policy"]
    return {**section, "preprocess": {**known, **(own or {})}}


def read_about(path: Path) -> dict[str, Any]:
    """What the sidecar of a checkpoint says; nothing where there is none. Its hash is verified when it is adopted.

    A JSON file of the same name that another program wrote has no hash, and is none.
    """
    side = path.with_suffix(".json") if path.name else path
    if not side.is_file():
        return {}
    try:
        about = dict(read_json(side))
    except (ValueError, TypeError) as error:
        raise EdgeproofError(f"{side}: not a valid sidecar ({error}), expected a JSON object") from None
    return about if "sha256" in about else {}
