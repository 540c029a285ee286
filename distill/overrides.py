"""What a command line changes of a recipe: ``--set`` before it is read, ``--seeds`` after. Torch-free."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distill.errors import EdgeproofError
from distill.files import parse_toml
from distill.pretrained import shipped_weights

if TYPE_CHECKING:
    from distill.recipe import Recipe

_OF_A_NETWORK = ("options", "layers", "weights", "predictions", "generated_class", "fine_tune")


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set values of a recipe's tables, in place and in order; a network that gets another name loses what its old one had.

    Another architecture has other options, layers and weights: those of the recipe go, those among ``overrides`` stay,
    wherever they stand. Shipped weights bring their own ``preprocess`` as well.

    Raises:
        EdgeproofError: as :func:`apply_override`.
    """
    changed: dict[str, Any] = {}
    for override in overrides:
        apply_override(changed, override)
    for before, after in _networks(values, changed):
        if "name" in after and after["name"] != before.get("name", _default_teacher()):
            shipped = str(after["name"]) in shipped_weights()
            for key in (*_OF_A_NETWORK, *(["preprocess"] if shipped else [])):
                before.pop(key, None)
    for override in overrides:
        apply_override(values, override)


def _default_teacher() -> str:
    """What a section [teacher] without a name means; a student always has one."""
    from distill.recipe import TeacherSettings

    return str(TeacherSettings.model_fields["name"].default)


def _networks(
    values: Mapping[str, Any], changed: Mapping[str, Any]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The sections of networks that a recipe has and the command line changes: as they are, and what changes."""
    pairs = [(values.get("teacher"), changed.get("teacher"))]
    for family in ("teachers", "students"):
        named, other = values.get(family), changed.get(family)
        if isinstance(named, dict) and isinstance(other, dict):
            pairs += [(named.get(name), other.get(name)) for name in named]
    return [(a, b) for a, b in pairs if isinstance(a, dict) and isinstance(b, dict)]


_DEEPEST = 20


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one value of a recipe's tables, in place: ``a.b=value``.

    Raises:
        EdgeproofError: no ``KEY=VALUE``, a key below one that is no section, or a value that cannot be read.
    """
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise EdgeproofError(f"--set {override!r:.200}: expected KEY=VALUE, such as data.path=photos")
    *parents, last = key.split(".")
    if len(parents) > _DEEPEST:
        raise EdgeproofError(
            f"--set {override!r:.80}: {len(parents)} sections in each other, expected a recipe's key"
        )
    table = values
    for parent in parents:
        child = table.setdefault(parent, {})
        if not isinstance(child, dict):
            raise EdgeproofError(f"--set {override!r}: {parent!r} is a value, not a section")
        table = child
    try:
        table[last] = _value(text)
    except ValueError as error:
        raise EdgeproofError(f"--set {override!r:.80}: no value of TOML ({error})") from None


def _value(text: str) -> Any:
    """A TOML value; anything that is none (an unquoted path, say) is text."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def with_seeds(recipe: "Recipe", count: int) -> "Recipe":
    """The recipe with the seeds 0 to ``count`` - 1 for every student, also for those that state their own.

    Raises:
        EdgeproofError: fewer than one.
    """
    if count < 1:
        raise EdgeproofError(f"--seeds: given {count}, expected at least 1")
    training = recipe.training.model_copy(update={"seeds": tuple(range(count))})
    students = {name: item.model_copy(update={"seeds": ()}) for name, item in recipe.students.items()}
    return recipe.model_copy(update={"training": training, "students": students})
