"""The artifacts that a service can answer with, by name, and those that are loaded."""

import asyncio
from collections import OrderedDict
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from deploy.artifact import MANIFEST_NAME, Manifest, read_manifest
from deploy.runtime import Detector
from deploy.service.places import artifact_folders, folder_of
from deploy.service.problems import Problem
from deploy.service.settings import Settings
from distill.errors import EdgeproofError
from distill.files import sha256

_MOST_LOADED = 8
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Loaded:
    """A model that answers.

    Attributes:
        name: in the catalogue.
        digest: SHA-256 of its manifest, which holds that of every other file.
        detector: shared by all threads; each call has buffers of its own.
    """

    name: str
    digest: str
    detector: Detector


class Catalogue:
    """Shipped artifacts, those in the folder of models, and those that finished runs left.

    Args:
        settings: where they are, and how they run.
        executor: where models are loaded.
    """

    def __init__(self, settings: Settings, *, executor: Executor) -> None:
        self._settings, self._executor = settings, executor
        self._loaded: OrderedDict[str, tuple[_Stamp, Loaded]] = OrderedDict()
        self._places: dict[str, Path] = {}  # their manifests
        self._lock = asyncio.Lock()

    def folders(self) -> dict[str, Path]:
        """Name → folder of every artifact."""
        return artifact_folders(self._settings)

    def manifest(self, name: str) -> Manifest:
        """What the artifact says of itself; raises :class:`Problem` 404, or :class:`EdgeproofError` if it is damaged."""
        return read_manifest(self.folder(name), public_key=self._settings.public_key)

    def folder(self, name: str) -> Path:
        """Where it lies; raises :class:`Problem` 404 with the names that there are."""
        try:
            return folder_of(self._settings, name)
        except EdgeproofError as error:
            raise Problem(404, str(error)) from None

    async def load(self, name: str) -> Loaded:
        """The model, loaded if it is not yet, or not as it is now.

        Raises:
            Problem: 404, no such model; 500, it is damaged or does not fit what is installed.
        """
        if (found := self._ready(name)) is not None:
            return found
        async with self._lock:  # whoever waited finds it loaded
            if (found := self._ready(name)) is not None:
                return found
            loop = asyncio.get_running_loop()
            folder, stamp, loaded = await loop.run_in_executor(self._executor, self._open, name)
            self._places[name] = folder / MANIFEST_NAME
            self._loaded[name] = (stamp, loaded)
            while len(self._loaded) > _MOST_LOADED:
                self._loaded.popitem(last=False)
            return loaded

    def close(self) -> None:
        """Let go of what is loaded."""
        self._loaded.clear()

    def _ready(self, name: str) -> Loaded | None:
        """The loaded model, unless its manifest has changed since."""
        if name not in self._loaded:
            return None
        stamp, loaded = self._loaded[name]
        try:
            if _stamp(self._places[name]) != stamp:
                return None
        except OSError:  # the folder is gone: what is in memory is whole
            pass
        self._loaded.move_to_end(name)
        return loaded

    def _open(self, name: str) -> tuple[Path, _Stamp, Loaded]:
        folder = self.folder(name)
        stamp = _stamp(folder / MANIFEST_NAME)
        try:
            detector = open_model(folder, self._settings)
        except EdgeproofError as error:
            raise Problem(500, f"model {name}: {error}") from error
        return folder, stamp, Loaded(name, sha256(folder / MANIFEST_NAME), detector)


def open_model(folder: Path, settings: Settings) -> Detector:
    """An artifact as the service runs it: a buffer for each of its threads, or a process where time is bounded.

    Raises:
        EdgeproofError: it is damaged, not signed, or does not fit what is installed.
    """
    each = (
        settings.threads if settings.image_s is None else 1
    )  # a bounded detector has a process for every caller
    return Detector.load(
        folder, runtime=settings.runtime, threads=each, workers=each, timeout_s=settings.image_s,
        public_key=settings.public_key,
    )  # fmt: skip


def _stamp(manifest: Path) -> _Stamp:
    status = manifest.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
