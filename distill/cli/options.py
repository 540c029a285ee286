"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(help="A shipped recipe's name, a .toml file, or a run folder.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Run folder (default: runs/<recipe's name>).")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value of the recipe.")
]
SeedsOption = Annotated[
    int | None, typer.Option("--seeds", metavar="N", help="Train every student with the seeds 0 to N - 1.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads of one inference (default: 1).", min=1)]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="KEY=NAME", help="Name a manifest's column, such as label=target (repeatable)."
    ),
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="local: processes of this machine; ray: a Ray cluster (extra scale).")
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address", metavar="HOST:PORT", help="The Ray cluster (default: one of its own, on this machine)."
    ),
]
