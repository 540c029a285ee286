"""What a service is started with. Torch-free, and free of the web's packages."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from distill.errors import EdgeproofError
from distill.record import Frozen

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
_VARIABLE = "EDGEPROOF_SERVICE"
_SHORTEST_KEY = 16  # characters


class Settings(Frozen):
    """Where a service keeps things, and what it refuses.

    Attributes:
        state: folder of its own: the SQLite file, runs, logs.
        models: folder whose subfolders are artifacts, beside those that are shipped and those that runs leave.
        data: folder below which data sets may be named; None refuses training and exploring.
        api_key_file: holds the key that every request must bring, health checks apart; None asks for none.
        model: the active model from the start; None keeps the one that was set last, at first the shipped one.
        runtime: ``onnxruntime`` or ``openvino``; None takes what is there.
        threads: of every process that answers, each with buffers of its own in every model.
        jobs: at work at the same time; the others wait.
        max_bytes: of a request's body.
        max_images: of a request.
        max_in_flight: requests with a body that a process works on; more are answered 503.
        request_s: seconds that a request may take, its arrival included.
        image_s: seconds that a model may take for an image, in a process of its own that is ended otherwise; None runs
            models in the service's own process.
        public_key: whose owner must have signed a model; None answers with models that nobody has signed.
        cors_origins: of pages in a browser that may ask.
        log_level: of the lines of JSON on standard error.
    """

    state: Path
    models: Path | None = None
    data: Path | None = None
    api_key_file: Path | None = None
    model: str | None = None
    runtime: str | None = None
    threads: Count = 2
    jobs: Count = 1
    max_bytes: Count = 32 * 2**20
    max_images: Count = 32
    max_in_flight: Count = 64
    request_s: Seconds = 30.0
    image_s: Seconds | None = None
    public_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def of(cls, **given: object) -> "Settings":
        """Settings from what a user gave; raises :class:`EdgeproofError` for a value that none can have."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            told = (
                f"{item['loc'][0]}: found {item['input']!r:.80}, {item['msg']}" for item in error.errors()
            )
            raise EdgeproofError("; ".join(told)) from None

    @property
    def database(self) -> Path:
        """Jobs and the active model."""
        return self.state / "service.sqlite"

    @property
    def runs(self) -> Path:
        """Run folders, a job's name each."""
        return self.state / "runs"

    def hand_on(self) -> None:
        """Leave them for this process and those that it starts (see :meth:`handed_on`)."""
        os.environ[_VARIABLE] = self.model_dump_json()

    @classmethod
    def handed_on(cls) -> "Settings":
        """What :meth:`hand_on` left, in a process that answers."""
        return cls.model_validate_json(os.environ[_VARIABLE])

    def api_key(self) -> bytes | None:
        """The key in its file.

        Raises:
            EdgeproofError: it cannot be read, or is too short to keep anybody out.
        """
        path = self.api_key_file
        if path is None:
            return None
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise EdgeproofError(f"{path}: cannot be read ({error.strerror or error})") from None
        if len(key) < _SHORTEST_KEY:
            raise EdgeproofError(
                f"{path}: holds a key of {len(key)} characters, expected {_SHORTEST_KEY} at least"
            )
        return key

    def check(self) -> None:
        """Raise :class:`EdgeproofError` for a folder that is not there, or a key that is none."""
        for option, folder in (("--models", self.models), ("--data", self.data)):
            if folder is not None and not folder.is_dir():
                raise EdgeproofError(f"{option} {folder}: no such folder")
        self.api_key()
