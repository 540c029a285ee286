"""``edgeproof explain``: where in a photo a model's answer comes from. An artifact needs no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.cli.options import JsonOption, RuntimeOption
from distill.errors import EdgeproofError
from distill.plain import plain

if TYPE_CHECKING:
    from deploy.explain.images import Shown
    from deploy.explain.record import ExplainRecord
    from deploy.explain.subject import View
    from distill.cli.explain_models import Chosen
    from distill.data.samples import Dataset


def explain(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MODEL] [PHOTO]...",
            help="An artifact's folder, a checkpoint (.safetensors) or its folder, or the name of a shipped one; then photos.",
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="MODEL", help="Another model beside it (repeatable)."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="A run folder instead of a model: teacher, student alone, distilled and INT8 beside each other."
        ),
    ] = None,
    student: Annotated[str | None, typer.Option(help="Of --run (default: its first).")] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="occlusion (64 to 225 answers a photo) or rise (400); of a checkpoint gradcam, gradcam++, hirescam, xgradcam, "
            "layercam, eigengradcam, and attention where it has some (repeatable).",
        ),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="Of a checkpoint: feature map for gradcam and its like (repeatable)."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="A simulated set, to score maps against its masks of what was altered."),
    ] = None,
    samples: Annotated[int, typer.Option(help="Images of it, at most.", min=1)] = 200,
    show: Annotated[int, typer.Option(help="Images of it that are drawn.", min=0)] = 4,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for pictures, explain.html and explain.json.")
    ] = None,
    as_json: JsonOption = False,
    runtime: RuntimeOption = None,
) -> None:
    """Show what in a photo an answer hangs on: by hiding parts of it, or from the inside of a network."""
    from deploy.explain.subject import views_of
    from distill.cli.explain_models import models_named, models_of_run

    given = list(paths or [])
    chosen = (
        models_of_run(run, student, layers=layers or [])
        if run
        else models_named(given[:1], beside or [], layers=layers or [], runtime=runtime)
    )
    dataset = _dataset(data, run)
    photos = given if run else given[1:]
    if not photos and dataset is None:
        raise EdgeproofError("explain: neither photos nor --data were given, expected one of them")
    views = views_of(chosen.subjects, methods or [])
    folder = None if as_json and out is None else out or Path("explained")
    record = _record(
        views, _images(photos, dataset, show=show), dataset, samples=samples, chosen=chosen, out=folder
    )
    _tell(record, as_json=as_json)
    if folder:
        typer.echo(f"written: {_write(record, folder)}", err=True)


def _dataset(data: Path | None, run: Path | None) -> "Dataset | None":
    """The one that was named, or a run's own where it has masks."""
    from deploy.explain.scores import masked_samples
    from distill.data.layouts import load_dataset
    from distill.pipeline.runfolder import load_samples

    if data is not None:
        return load_dataset(data)
    if run is None:
        return None
    own = load_samples(run)
    return own if masked_samples(own, most=1) else None


def _images(photos: Sequence[Path], dataset: "Dataset | None", *, show: int) -> "list[Shown]":
    from deploy.explain.images import image_of, photo
    from deploy.explain.scores import masked_samples

    shown = masked_samples(dataset, most=show) if dataset and show else []
    return [*map(photo, photos), *(image_of(dataset, sample) for sample in shown if dataset)]


def _record(
    views: "Sequence[View]",
    images: "Sequence[Shown]",
    dataset: "Dataset | None",
    *,
    samples: int,
    chosen: "Chosen",
    out: Path | None,
) -> "ExplainRecord":
    from deploy.explain.images import explain_images
    from deploy.explain.record import ExplainRecord
    from deploy.explain.scores import mark_maps
    from distill.cli.progress import bar

    subjects = {view.subject.name: view.subject for view in views}
    with bar("explaining") as progress:
        marks = (
            mark_maps(views, dataset, samples=samples, reference=chosen.reference, progress=progress)
            if dataset
            else None
        )
        found = explain_images(views, images, out=out, progress=progress)
    cautions = dict.fromkeys(subject.caution for subject in subjects.values() if subject.caution)
    return ExplainRecord(
        models=tuple(subjects),
        reference=chosen.reference,
        images=tuple(found),
        scores=marks.scores() if marks else (),
        changes=marks.changes(chosen.steps) if marks else (),
        cautions=tuple(cautions),
    )


def _tell(record: "ExplainRecord", *, as_json: bool) -> None:
    from deploy.explain.page import said, tables, told
    from distill.page.terminal import console, drawn

    if as_json:
        typer.echo(record.text())
        return
    for image in record.images:
        for look in image.maps:
            typer.echo(f"{plain(image.image)}: {said(look)}")
    if len(record.scores) == 1:
        typer.echo(told(record.scores[0]))
    elif record.scores:
        for block in tables(record):
            console().print(drawn(block))


def _write(record: "ExplainRecord", folder: Path) -> Path:
    from deploy.explain.page import page_of
    from deploy.explain.record import RECORD
    from distill.files import write_text
    from distill.page import html

    record.write(folder / RECORD)
    write_text(folder / "explain.html", html.render(page_of(record, folder=folder)))
    return (folder / "explain.html").resolve()
