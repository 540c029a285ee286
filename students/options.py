"""Names and options of models: looked up in a table, checked against the constructor's own signature."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from torch import nn

Factory = Callable[..., nn.Module]
NumLogits = Annotated[int, Field(ge=1, le=10_000)]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]


class OptionError(ValueError):
    """A model's name, option or weights file that cannot be used. The message is one line for the user."""


def unknown(*, kind: str, given: str, choices: Iterable[str]) -> OptionError:
    """The one wording for a name that is not among the choices."""
    return OptionError(f"unknown {kind} {given!r}; choose one of: {', '.join(choices)}")


def build(
    *, kind: str, name: str, table: Mapping[str, Factory], num_logits: int, options: Mapping[str, Any] | None
) -> nn.Module:
    """Build ``table[name]`` after checking its options.

    Raises:
        OptionError: an unknown name, or every option that is unknown, mistyped or out of range, in one line.

    """
    if name not in table:
        raise unknown(kind=kind, given=name, choices=sorted(table))
    factory, wanted = table[name], dict(options or {})
    if "num_logits" in inspect.signature(factory).parameters:  # a module of the user's own may not ask for it
        wanted["num_logits"] = num_logits
    return factory(**check_options(f"{kind} {name}", factory, wanted))


def check_options(
    owner: str, factory: Callable[..., Any], options: Mapping[str, Any], *, given: Collection[str] = ()
) -> dict[str, Any]:
    """Options, completed with the factory's defaults and converted to its annotated types.

    The signature is the only statement of what a factory accepts: pydantic checks against it. The parameters
    ``given`` are the caller's own, no options; an option without an annotation may be anything, and a factory with
    ``**keywords`` takes any option.
    """
    declared = inspect.signature(factory, eval_str=True).parameters.values()
    parameters = [
        p for p in declared if p.name not in given and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in declared)
    fields: dict[str, Any] = {
        p.name: (Any if p.annotation is p.empty else p.annotation, ... if p.default is p.empty else p.default)
        for p in parameters
    }
    config = ConfigDict(extra="allow" if takes_any else "forbid", arbitrary_types_allowed=True)
    schema: type[BaseModel] = create_model("Options", __config__=config, **fields)
    try:
        checked = schema.model_validate(dict(options))
    except ValidationError as error:
        choices = [choice for choice in fields if choice != "num_logits"]
        raise OptionError(f"{owner}: {_mistakes(error, choices)}") from None
    return {**{field: getattr(checked, field) for field in fields}, **(checked.model_extra or {})}


def _mistakes(error: ValidationError, choices: list[str]) -> str:
    messages = []
    for mistake in error.errors():
        option = ".".join(map(str, mistake["loc"]))
        if mistake["type"] == "extra_forbidden":
            known = f"choose one of: {', '.join(choices)}" if choices else "it takes none"
            messages.append(f"unknown option {option!r}; {known}")
        else:
            wanted = mistake["msg"].removeprefix("Input should be ")
            messages.append(f"option {option} is {mistake['input']!r}, expected {wanted}")
    return "; ".join(messages)
