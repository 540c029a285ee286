"""``edgeproof score``: an artifact's answers on millions of images, as Parquet."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import AddressOption, ColumnOption, EngineOption, JsonOption
from distill.cli.terminate import stopped


def score(
    artifact: Annotated[
        str, typer.Argument(help="An artifact's folder, or the name of a shipped one.", metavar="ARTIFACT")
    ],
    data: Annotated[
        Path, typer.Argument(help="Images of any layout: folders, a manifest, shards; labelled or not.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="New folder for the table, such as scores.parquet; the same command goes on there."
        ),
    ],
    workers: Annotated[
        int, typer.Option(help="Processes, each with a detector (0: one for every core).", min=0, max=1024)
    ] = 0,
    engine: EngineOption = "local",
    address: AddressOption = "",
    partition: Annotated[
        int, typer.Option(help="Images of one file: what a stop may cost.", min=1, max=1_000_000)
    ] = 2048,
    layout: Annotated[str | None, typer.Option(help="The data set's layout (default: recognised).")] = None,
    columns: ColumnOption = None,
    runtime: Annotated[
        str | None, typer.Option(help="onnxruntime or openvino (default: what is there).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score every image of a data set into a table of Parquet files; what cannot be read goes into a table of its own."""
    from deploy.score import score as score_images
    from deploy.score.score import bad_table
    from deploy.shipped import find_artifact
    from distill.cli.progress import bar
    from distill.data.columns import parse_columns
    from distill.engine import open_engine

    folder = find_artifact(artifact, runtime=runtime)
    try:
        with open_engine(engine, workers=workers, address=address) as works, bar("scoring") as progress:
            found = score_images(
                folder, data, out=out, layout=layout or "auto", columns=parse_columns(columns) if columns else None,
                runtime=runtime, engine=works, partition=partition, progress=progress,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise stopped(f"; the same command goes on in {out}") from None
    if as_json:
        typer.echo(json.dumps({**asdict(found), "images_per_second": found.images_per_second}))
        return
    earlier = f", {found.earlier:,} were scored before" if found.earlier else ""
    typer.echo(
        f"{found.images:,} images: {found.answered:,} scored, {found.bad:,} bad{earlier}; "
        f"{found.seconds:.1f} s, {found.images_per_second:,.0f} images/s"
    )
    typer.echo(f"table: {out}")
    if found.bad or found.left_out:
        typer.echo(f"bad images: {bad_table(out)} ({found.bad + found.left_out:,} with the reason)")
