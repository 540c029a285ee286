"""``edgeproof selftest``: does an artifact answer here as it did where it was made? Needs no torch."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import JsonOption, RuntimeOption


def selftest(
    artifact: Annotated[Path, typer.Argument(help="An artifact's folder, or the name of a shipped one.")],
    as_json: JsonOption = False,
    runtime: RuntimeOption = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: the runtime's).")] = None,
) -> None:
    """Check that an artifact answers on this processor as it did where it was made. Needs no torch.

    Exit code 1: an answer differs; 2: nothing could be checked.
    """
    from deploy.selftest import check_folder, require_ok
    from deploy.shipped import find_artifact

    report = check_folder(find_artifact(artifact, runtime=runtime), runtime=runtime, threads=threads)
    if as_json:
        typer.echo(report.model_dump_json())
    require_ok(report)
    if not as_json:
        largest = max(answer.difference or 0.0 for answer in report.answers)
        typer.echo(
            f"{artifact}: self-test ok on {report.cpu_model} with {report.runtime}: {len(report.answers)} images, "
            f"largest difference {largest:.2g} in a logit, {report.tolerance:.2g} allowed"
        )
