"""``edgeproof app``: a page to drop images on, to explore a run and to train. Needs no torch to judge."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import ModelsOption, RuntimeOption, TrainingDataOption
from distill.errors import EdgeproofError
from distill.optional import require


def app(
    models: ModelsOption = None,
    data: TrainingDataOption = None,
    state: Annotated[Path, typer.Option(help="Folder of the page's own: jobs, runs, logs.")] = Path(
        "edgeproof-service"
    ),
    model: Annotated[str | None, typer.Option(help="The first choice (default: photos-128).")] = None,
    runtime: RuntimeOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
) -> None:
    """Show a page in the browser: judge images, explore a run, train."""
    require("streamlit")
    from importlib.util import find_spec

    from deploy.service.settings import Settings

    settings = Settings(
        state=state.resolve(), models=models and models.resolve(), data=data and data.resolve(), model=model, runtime=runtime
    )  # fmt: skip
    settings.check()
    settings.hand_on()
    script = find_spec("bench.app.script")
    if script is None or script.origin is None:
        raise EdgeproofError("the page is not installed, expected bench/app/script.py")
    options = {
        "server.address": host, "server.port": port, "server.headless": "true", "browser.gatherUsageStats": "false",
        "server.fileWatcherType": "none", "client.toolbarMode": "minimal", "server.maxUploadSize": 200,
    }  # fmt: skip
    told = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", script.origin, *told])
