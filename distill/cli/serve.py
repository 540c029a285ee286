"""``edgeproof serve``: the HTTP service. Needs no torch to answer."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli.options import ModelsOption, RuntimeOption, TrainingDataOption
from distill.cli.sign import PublicKeyOption
from distill.optional import require

_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    models: ModelsOption = None,
    data: TrainingDataOption = None,
    state: Annotated[Path, typer.Option(help="Folder of the service's own: jobs, runs, logs.")] = Path(
        "edgeproof-service"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes one that is free.", min=0, max=65535)] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with the key that requests must bring.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The active model (default: the one set last, at first photos-128).")
    ] = None,
    runtime: RuntimeOption = None,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1)] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of each (default: one a core).", min=1)] = None,
    jobs: Annotated[int, typer.Option(help="Trainings at the same time.", min=1)] = 1,
    max_mb: Annotated[int, typer.Option(help="Megabytes of a request.", min=1)] = 32,
    max_images: Annotated[int, typer.Option(help="Images of a request.", min=1)] = 32,
    max_in_flight: Annotated[int, typer.Option(help="Requests that a process works on.", min=1)] = 64,
    timeout: Annotated[
        float, typer.Option(help="Seconds of a request, its arrival included.", min=0.1)
    ] = 30.0,
    image_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Run models in processes of their own, ended where an image takes longer: for artifacts that nobody "
            "vouches for.",
            min=0.01,
        ),
    ] = None,
    public_key: PublicKeyOption = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin of pages whose scripts may ask, such as https://a.example."),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Answer over HTTP: judge images (curl -F file=@photo.jpg localhost:8000/predict), train, choose the model."""
    for package in _PACKAGES:
        require(package)
    from deploy.service.desk import default_threads
    from deploy.service.server import serve as answer
    from deploy.service.settings import Settings
    from distill.errors import unknown_name

    levels = ("debug", "info", "warning", "error")
    if log_level not in levels:
        raise unknown_name(kind="log level", given=log_level, choices=levels)
    settings = Settings.of(
        state=state.resolve(), models=_whole(models), data=_whole(data), api_key_file=_whole(api_key_file),
        model=model, runtime=runtime, threads=threads or default_threads(), jobs=jobs, max_bytes=max_mb * 2**20,
        max_images=max_images, max_in_flight=max_in_flight, request_s=timeout,
        image_s=image_timeout, public_key=_whole_key(public_key),
        cors_origins=tuple(cors_origin or ()), log_level=log_level,
    )  # fmt: skip
    answer(settings, host=host, port=port, workers=workers)


def _whole_key(given: str | None) -> str | None:
    """A key's file by its whole path, as the folders; a key itself as it is."""
    return str(Path(given).resolve()) if given and Path(given).exists() else given


def _whole(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()
