"""``edgeproof evaluate``: how good is an artifact on labelled images; or a recipe up to its accuracy gate."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.dispatch import is_artifact, refuse_for_artifact, refuse_for_recipe, require_options
from distill.cli.options import ColumnOption, JsonOption, RuntimeOption, SetOption, ThreadsOption


def evaluate(
    source: Annotated[
        str,
        typer.Argument(help="An artifact's folder; or a recipe, or a run folder.", metavar="ARTIFACT|RECIPE"),
    ],
    data: Annotated[
        Path | None, typer.Argument(help="Labelled images of any layout.", metavar="[DATA]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for evaluation.json and evaluation.html; or the run folder."),
    ] = None,
    as_json: JsonOption = False,
    samples: Annotated[
        int | None, typer.Option(help="Images to judge, at most (default: all).", min=2)
    ] = None,
    degradations: Annotated[
        bool | None,
        typer.Option(
            "--degradations/--no-degradations", help="Judge up to 1000 of them degraded too (default: yes)."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="The data set's split (default: test if it has one; all = every image)."),
    ] = None,
    layout: Annotated[str | None, typer.Option(help="The data set's layout (default: recognised).")] = None,
    columns: ColumnOption = None,
    runtime: RuntimeOption = None,
    threads: ThreadsOption = None,
    overrides: SetOption = None,
) -> None:
    """Judge an artifact on labelled images: every metric, generator and degradation; or a recipe up to its accuracy gate."""
    if not is_artifact(source):
        from distill.cli.run import run_verb

        refuse_for_recipe(source, {
            "DATA": data, "--json": as_json, "--samples": samples, "--split": split, "--layout": layout, "--column": columns,
            "--runtime": runtime, "--threads": threads,
            "--degradations/--no-degradations": None if degradations is None else True,
        })  # fmt: skip
        run_verb(source, out=out, overrides=overrides or [], verb="evaluate")
        return
    refuse_for_artifact(source, {"--set": overrides})
    require_options(source, {"DATA": data})
    from deploy.evaluate import evaluate_artifact
    from deploy.evaluate_text import check_target, print_evaluation, write_evaluation
    from distill.cli.progress import bar
    from distill.data.columns import parse_columns

    if out:
        check_target(out)
    named = parse_columns(columns) if columns else None
    with bar("evaluating") as progress:
        record = evaluate_artifact(
            Path(source), Path(data or ""), layout=layout or "auto", columns=named, split=split, samples=samples,
            degradations=degradations is not False, runtime=runtime, threads=threads, progress=progress,
        )  # fmt: skip
    print_evaluation(record, as_json=as_json)
    for path in write_evaluation(record, out) if out else []:
        typer.echo(f"written: {path}", err=True)
