"""``edgeproof data ...``: make, explore, check and pack data sets. Imports are lazy, so that ``--help`` is fast."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.cli.options import AddressOption, ColumnOption, EngineOption, JsonOption, SetOption
from distill.cli.progress import bar
from distill.cli.terminate import stopped
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from distill.engine import Engine

data_app = typer.Typer(help="Make, explore and check image folders.", no_args_is_help=True)


@data_app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the images; an unfinished set is completed.")],
    recipe: Annotated[str, typer.Option(help="Take [data.simulate] from this recipe.")] = "demo",
    overrides: SetOption = None,
    shards: Annotated[
        bool, typer.Option("--shards", help="Write WebDataset shards instead of files.")
    ] = False,
) -> None:
    """Render the simulated set: camera photos and generated images of the same scenes."""
    from distill.data.simulate.writer import simulate as render
    from distill.machine import usable_threads
    from distill.recipe import load_recipe

    asked = [*(overrides or []), *(["data.simulate.storage=shards"] if shards else [])]
    settings = load_recipe(recipe, overrides=asked).data.simulate
    if settings is None:
        raise EdgeproofError(
            f"recipe {recipe} has no [data.simulate] section; choose one that has, such as demo"
        )
    try:
        with bar("rendering") as progress:
            dataset = render(settings, root=out, workers=usable_threads(), progress=progress)
    except KeyboardInterrupt:
        raise stopped(f"; the images in {out} are kept, the same command goes on there") from None
    typer.echo(f"{len(dataset.samples)} images in {out}")


@data_app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A data set's folder.")],
    layout: Annotated[str, typer.Option(help="Name the layout instead of recognising it.")] = "auto",
    columns: ColumnOption = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write an HTML page with examples, spectra and fingerprints."),
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say which layout a folder has, what it holds, and what would be left out."""
    from distill.data.columns import parse_columns
    from distill.data.explore.inspect import inspection_of, print_inspection, read_folder
    from distill.data.explore.report import check_target, write_page

    named = parse_columns(columns) if columns else None
    if report:
        check_target(report)
    with _readers(engine, address) as readers, bar("reading") as progress:
        dataset, scanned = read_folder(path, layout=layout, columns=named, engine=readers, progress=progress)
    found = inspection_of(dataset)
    if report:
        with bar("exploring") as progress:
            write_page(report, dataset, scanned, found, source=path, progress=progress)
        typer.echo(f"written: {report}", err=True)
    print_inspection(found, as_json=as_json)


@data_app.command()
def audit(
    path: Annotated[Path, typer.Argument(help="A data set's folder.")],
    layout: Annotated[str, typer.Option(help="Name the layout instead of recognising it.")] = "auto",
    columns: ColumnOption = None,
    groups: Annotated[
        str, typer.Option(help="What belongs together: as the layout says, or stem (files of one name).")
    ] = "",
    recipe: Annotated[
        str, typer.Option(help="Take splits, limits and seed from this recipe, as its run would.")
    ] = "photos",
    overrides: SetOption = None,
    engine: EngineOption = "local",
    address: AddressOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check whether metadata, duplicates or groups give the labels away, on the splits of a run. Exit code 1 if they do."""
    from distill.data.audit.folder import audit_folder, print_audit
    from distill.data.columns import parse_columns
    from distill.recipe import load_recipe
    from distill.task import find_task

    asked = [f"data.path={json.dumps(str(path))}", *(overrides or [])]
    asked += [f"data.layout={layout}"] if layout != "auto" else []
    asked += [f"data.groups={groups}"] if groups else []
    found = load_recipe(recipe, overrides=asked)
    data = found.data.model_copy(update={"columns": parse_columns(columns)}) if columns else found.data
    with _readers(engine, address) as readers, bar("reading") as progress:
        report, seen = audit_folder(
            path,
            data=data,
            gates=found.gates,
            seed=found.seed,
            labels=find_task(found.task).classes,
            engine=readers,
            progress=progress,
        )
    print_audit(report, seen, as_json=as_json)
    if not report.passed:
        raise typer.Exit(1)


@data_app.command()
def shard(
    path: Annotated[Path, typer.Argument(help="A data set: a folder, a manifest, tars.")],
    out: Annotated[Path, typer.Argument(help="Folder for the shards; an unfinished set is completed.")],
    layout: Annotated[str, typer.Option(help="Name the layout instead of recognising it.")] = "auto",
    columns: ColumnOption = None,
    size: Annotated[int, typer.Option(help="Images in a shard.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the order, in which classes are mixed.")] = 0,
) -> None:
    """Pack a data set of any layout into WebDataset shards, images as they are."""
    from distill.data.columns import parse_columns
    from distill.data.layouts import load_dataset
    from distill.data.shards.pack import write_shards

    dataset = load_dataset(path, layout=layout, columns=parse_columns(columns) if columns else None)
    try:
        with bar("packing") as progress:
            shards = write_shards(dataset, out=out, shard_size=size, seed=seed, progress=progress)
    except KeyboardInterrupt:
        raise stopped(f"; the shards in {out} are whole, the same command goes on there") from None
    typer.echo(
        f"{len(shards)} shards in {out}; what they hold, and which files could not be read: {out / 'index.json'}"
    )
    if dataset.skipped:
        typer.echo(
            f"{len(dataset.skipped)} files are no part of the set; edgeproof data inspect {path} names them"
        )


@contextmanager
def _readers(name: str, address: str) -> Iterator["Engine | None"]:
    """What reads the files, where it is not the processes that a scan starts by itself."""
    from distill.engine import open_engine

    with open_engine(name, address=address) as engine:
        yield engine if name == "ray" else None
