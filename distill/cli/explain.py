"""``edgeproof explain``: where in a photo an artifact's answer comes from. Needs no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill.cli.options import JsonOption
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from deploy.explain_record import ExplainRecord


def explain(
    artifact: Annotated[str, typer.Argument(help="An artifact's folder, or the name of a shipped one.")],
    images: Annotated[list[Path] | None, typer.Argument(help="Photos.", metavar="[IMAGE]...")] = None,
    method: Annotated[
        str, typer.Option(help="occlusion (64 to 225 answers a photo) or rise (400).")
    ] = "occlusion",
    data: Annotated[
        Path | None,
        typer.Option(help="A simulated set, to score maps against its masks of what was altered."),
    ] = None,
    samples: Annotated[int, typer.Option(help="Images of it, at most.", min=1)] = 100,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for pictures, explain.html and explain.json.")
    ] = None,
    as_json: JsonOption = False,
    runtime: Annotated[
        str | None, typer.Option(help="onnxruntime or openvino (default: what is there).")
    ] = None,
) -> None:
    """Show what in a photo an artifact's answer hangs on, by hiding parts of it; needs no torch."""
    from deploy.explain_images import explain_photos, score_maps
    from deploy.explain_page import told
    from deploy.explain_record import ExplainRecord
    from deploy.runtime import Detector
    from deploy.shipped import find_artifact
    from distill.cli.progress import bar
    from distill.data.layouts import load_dataset

    if not images and data is None:
        raise EdgeproofError("explain: neither photos nor --data were given, expected one of them")
    detector = Detector.load(find_artifact(artifact, runtime=runtime), runtime=runtime)
    folder = None if as_json and out is None else out or Path("explained")
    dataset = load_dataset(data) if data else None
    with bar("explaining") as progress:
        found = explain_photos(detector, images or [], method=method, out=folder, progress=progress)
        scores = (
            score_maps(detector, dataset, method=method, samples=samples, progress=progress)
            if dataset
            else None
        )
    manifest = detector.manifest
    record = ExplainRecord(
        artifact=manifest.name, runtime=detector.runtime, precision=detector.precision, method=method,
        images=tuple(found), scores=scores, cautions=(detector.caution,) if detector.caution else (),
    )  # fmt: skip
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        for item in found:
            typer.echo(f"{item.image}: {item.answer}, strongest at {item.peak[0]}, {item.peak[1]}")
        if scores:
            typer.echo(told(scores))
    if folder:
        typer.echo(f"written: {_write(record, folder)}", err=True)


def _write(record: "ExplainRecord", folder: Path) -> Path:
    from deploy.explain_page import page_of
    from deploy.explain_record import RECORD
    from distill.files import write_text
    from distill.page import html

    record.write(folder / RECORD)
    write_text(folder / "explain.html", html.render(page_of(record, folder=folder)))
    return (folder / "explain.html").resolve()
