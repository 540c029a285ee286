"""``edgeproof verify``: is a finished artifact what it claims to be; or a recipe up to its parity gate."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.dispatch import is_artifact, refuse_for_artifact, refuse_for_recipe
from distill.cli.options import JsonOption, SetOption, ThreadsOption
from distill.cli.sign import PublicKeyOption


def verify(
    source: Annotated[
        str,
        typer.Argument(help="An artifact's folder; or a recipe, or a run folder.", metavar="ARTIFACT|RECIPE"),
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT|ARTIFACT", help="The FP32 artifact or .safetensors file it was made from."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Images to judge: a data set of any layout, or a folder of photos.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Images to judge, at most (default: 1000).", min=1)
    ] = None,
    threads: ThreadsOption = None,
    public_key: PublicKeyOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for verify.json and flips.png; or the run folder.")
    ] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check an artifact: signature, digests, graph, INT8, answers, accuracy, time; or do a recipe up to the parity gate.

    Exit code 1 if a check fails.
    """
    if is_artifact(source):
        refuse_for_artifact(source, {"--set": overrides})
        _verify_artifact(
            Path(source),
            against=against,
            data=data,
            samples=samples,
            threads=threads,
            public_key=public_key,
            out=out,
            as_json=as_json,
        )
        return
    from distill.cli.run import run_verb

    refuse_for_recipe(source, {
        "--against": against, "--data": data, "--samples": samples, "--threads": threads,
        "--public-key": public_key, "--json": as_json,
    })  # fmt: skip
    run_verb(source, out=out, overrides=overrides or [], verb="verify")


def _verify_artifact(
    artifact: Path,
    *,
    against: Path | None,
    data: Path | None,
    samples: int | None,
    threads: int | None,
    public_key: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from deploy.verify import SAMPLES, verify_artifact
    from deploy.verify_text import print_report, write_report
    from distill.cli.progress import bar

    with bar("verifying") as progress:
        report = verify_artifact(
            artifact,
            against=against,
            data=data,
            samples=samples or SAMPLES,
            threads=threads or 1,
            public_key=public_key,
            progress=progress,
        )
    print_report(report, as_json=as_json)
    if out:
        for path in write_report(report, out, data=data):
            typer.echo(f"written: {path}", err=True)
    if report.failed:
        raise typer.Exit(1)
