"""``edgeproof cross``: a detector trained on some generators, tested on all; a matrix for teacher and student."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from distill.cli.options import JsonOption, SetOption
from distill.errors import EdgeproofError, GateFailedError
from distill.files import at_home

if TYPE_CHECKING:
    from bench.cross.record import CrossRecord, Kind, RowOf
    from distill.recipe import Recipe

Mode = Literal["only", "all-but", "both"]


def cross(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a .toml file.")],
    data: Annotated[str | None, typer.Option(help="Your images; for data.path of the recipe.")] = None,
    mode: Annotated[
        str, typer.Option(help="Train on one generator (only), leave one out (all-but), or both.")
    ] = "both",
    out: Annotated[Path | None, typer.Option("--out", help="Folder (default: runs/cross).")] = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Train the recipe's first student on each generator, without each, and on all; test every one on all."""
    if mode not in ("only", "all-but", "both"):
        raise EdgeproofError(f"--mode: given {mode!r}; choose one of: only, all-but, both")
    folder, base = out or Path("runs/cross"), _recipe(recipe, data=data, overrides=overrides or [])
    if base.task.kind != "binary":
        raise EdgeproofError(f"cross: task is {base.task.kind}, expected binary: real or generated")
    generators = _generators(base, folder)
    rows: list[RowOf] = []
    failed: list[str] = []
    for kind, learned in choices(generators, mode=mode):
        typer.echo(f"edgeproof: trained on {', '.join(learned)}", err=True)
        place = folder / f"{kind.replace(' ', '-')}-{'-'.join(learned)}"
        try:
            rows += _trained(base, place, kind=kind, learned=learned, generators=generators)
        except GateFailedError as error:  # what fails for one generator's images may hold for another's
            failed.append(f"trained on {', '.join(learned)}: {error}")
            typer.echo(f"edgeproof: {failed[-1]}", err=True)
    if not rows:
        raise GateFailedError(failed[0])
    record = _record(base, rows, generators)
    page = _write(record, folder)
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        _print(record)
        typer.echo(f"cross: {page}")
    if failed:
        raise GateFailedError(f"{len(failed)} of the rows could not be trained; {failed[0]}")


def choices(generators: Sequence[str], *, mode: str) -> "Iterator[tuple[Kind, tuple[str, ...]]]":
    """What is learned from in each row."""
    if mode != "all-but":
        yield from (("only", (name,)) for name in generators)
    if mode != "only" and len(generators) > 2:  # of two, all but one is only the other
        yield from (("all but", tuple(n for n in generators if n != name)) for name in generators)
    yield "all", tuple(generators)


def _recipe(name: str, *, data: str | None, overrides: Sequence[str]) -> "Recipe":
    """Every generator is trained on in some row, so none is held out, and the student is trained once."""
    from distill.recipe import load_recipe

    base = load_recipe(name, overrides=[*([f"data.path={data}"] if data else []), *overrides])
    student, settings = next(iter(base.students.items()))
    changes = {"students": {student: settings.model_copy(update={"seeds": (base.seeds_of(student)[0],)})}}
    if base.data.simulate is not None and not base.data.path:
        simulate = base.data.simulate
        scenes = simulate.scenes.model_copy(update={"heldout": 0, "control": 0, "unlabelled": 0})
        families = (*simulate.families, *simulate.held_out)
        changed = simulate.model_copy(update={"scenes": scenes, "families": families, "held_out": ()})
        changes["data"] = base.data.model_copy(update={"simulate": changed})  # type: ignore[assignment]
    return base.model_copy(update=changes)


def _generators(base: "Recipe", folder: Path) -> tuple[str, ...]:
    """Those that there are images of; a simulated set is rendered once, for all rows."""
    from distill.data.generators import generators_of
    from distill.data.layouts import load_dataset
    from distill.data.simulate.writer import simulate
    from distill.machine import thread_count

    if base.data.path:
        data = base.data
        dataset = load_dataset(at_home(data.path), layout=data.layout, columns=data.columns, labels=())
    elif base.data.simulate is not None:
        dataset = simulate(base.data.simulate, root=folder / "data", workers=thread_count(0))
    else:
        raise EdgeproofError("cross: neither data.path nor [data.simulate] is given")
    found = generators_of(dataset.samples)
    if len(found) < 2:
        raise EdgeproofError(
            f"cross: found {len(found)} generator(s): {', '.join(found) or 'the layout tells of none'}; expected at least 2: a "
            "folder for each, or a manifest's column generator (docs/layouts.md)"
        )
    return found


def _trained(
    base: "Recipe", place: Path, *, kind: "Kind", learned: tuple[str, ...], generators: Sequence[str]
) -> "list[RowOf]":
    """Train what one row needs, and read its cells; what is whole is kept."""
    from bench.cross.matrix import rows_of
    from distill.cli.run import carry_out, stages_leaving
    from distill.roster import roster_of

    data = base.data.model_copy(
        update={"path": base.data.path or str(place.parent / "data"), "generators": learned}
    )
    recipe = base.model_copy(update={"name": f"{base.name}-cross", "data": data})
    roster = roster_of(recipe)
    student = roster.distilled[0]
    models = [
        ("teacher", roster.teachers[0]),
        (f"{student.name} alone", roster.controls_of(student)[0]),
        (f"{student.name} distilled", student),
    ]
    carry_out(recipe, place, stages_leaving(recipe, [model.predictions for _, model in models]))
    return rows_of(place, models, kind=kind, learned=learned, generators=generators)


def _record(base: "Recipe", rows: "list[RowOf]", generators: tuple[str, ...]) -> "CrossRecord":
    from bench.cross.matrix import unseen_of
    from bench.cross.record import CrossRecord

    student, teacher = next(iter(base.students)), next(iter(base.all_teachers.values()))
    return CrossRecord(
        recipe=base.name,
        simulated=not base.data.path,
        student=student,
        seed=base.seeds_of(student)[0],
        generators=generators,
        teacher_knows=(teacher.weights or teacher.predictions) if teacher.finished or teacher.predictions else None,
        rows=tuple(rows),
        unseen=tuple(unseen_of(rows)),
    )  # fmt: skip


def _write(record: "CrossRecord", folder: Path) -> Path:
    from bench.cross.page import page_of
    from bench.cross.record import CROSS
    from distill.files import write_bytes, write_text
    from distill.page import html
    from distill.page.blocks import Gallery

    record.write(folder / CROSS)
    page = page_of(record)
    for section in page.sections:
        for block in section.blocks:
            for picture in block.pictures if isinstance(block, Gallery) else ():
                write_bytes(folder / f"{picture.name.replace(' ', '_')}.png", picture.png)
    write_text(folder / "cross.html", html.render(page))
    return (folder / "cross.html").resolve()


def _print(record: "CrossRecord") -> None:
    from bench.cross.page import headline, said, table
    from distill.page.terminal import console, drawn

    out = console()
    for model in dict.fromkeys(row.model for row in record.rows):
        out.print(drawn(table(record, model)))
        out.print(said(record, model), highlight=False, markup=False, soft_wrap=True)
    out.print(headline(record), highlight=False, markup=False, soft_wrap=True)
