"""``edgeproof list``: the names that recipes may use, from the tables that the code uses."""

import json
from collections.abc import Callable
from typing import Annotated

import typer

from distill.cli.options import JsonOption
from distill.errors import unknown_name
from distill.parts import installed_names


def list_names(
    what: Annotated[
        str | None,
        typer.Argument(
            help="artifacts, teachers, students, methods, recipes, layouts, quantizers, runtimes."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the names that recipes may use, from the tables that the code uses."""
    if what is not None and what not in TABLES:
        raise unknown_name(kind="list", given=what, choices=TABLES)
    names: dict[str, list[str]] = {}
    for key, table in TABLES.items():
        try:
            names.update({key: sorted(table())} if what in (None, key) else {})
        except ImportError:  # a torch-free installation still lists the rest
            if what == key:
                raise
            typer.echo(f"edgeproof: {key} are left out, they need pip install 'edgeproof[train]'", err=True)
    if as_json:
        typer.echo(json.dumps(names, allow_nan=False))
        return
    for key, values in names.items():
        typer.echo("\n".join(values) if what else f"{key}: {', '.join(values)}")


def _teachers() -> list[str]:
    from distill.networks import LIBRARIES
    from distill.pretrained import shipped_weights
    from teachers import TEACHERS

    return [*TEACHERS, *LIBRARIES, *shipped_weights(), *installed_names("teachers")]


def _students() -> list[str]:
    from distill.networks import LIBRARIES
    from students import STUDENTS

    return [*STUDENTS, *LIBRARIES, *installed_names("students")]


def _methods() -> list[str]:
    from distill.methods import METHODS

    return [*METHODS, *installed_names("methods")]


def _recipes() -> list[str]:
    from distill.recipe import shipped_recipes

    return list(shipped_recipes())


def _layouts() -> list[str]:
    from distill.data.layouts import LAYOUTS

    return list(LAYOUTS)


def _quantizers() -> list[str]:
    from deploy.quantizers import QUANTIZERS

    return [*QUANTIZERS, *installed_names("quantizers")]


def _artifacts() -> list[str]:
    from deploy.shipped import shipped_artifacts

    return list(shipped_artifacts())


def _runtimes() -> list[str]:
    from deploy.artifact import MODEL_FILES

    return list(MODEL_FILES)


TABLES: dict[str, Callable[[], list[str]]] = {
    "teachers": _teachers,
    "students": _students,
    "methods": _methods,
    "recipes": _recipes,
    "layouts": _layouts,
    "quantizers": _quantizers,
    "runtimes": _runtimes,
    "artifacts": _artifacts,
}
