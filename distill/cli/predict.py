"""``edgeproof predict``: an artifact's word on photos. Needs no torch."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import JsonOption


def predict(
    artifact: Annotated[Path, typer.Argument(help="An artifact folder.")],
    images: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option(help="Write the answers to this CSV file.")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="onnxruntime or openvino (default: what is there).")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: the runtime's).")] = None,
) -> None:
    """Say of each photo whether it is real or generated. Needs no torch."""
    from deploy.predict import predict_files, print_answers

    answers = predict_files(artifact, images, runtime=runtime, threads=threads)
    print_answers(answers, as_json=as_json, csv=csv)
    if any(answer["error"] for answer in answers):
        raise typer.Exit(2)
