"""Which artifacts there are, by name. Torch-free, and free of the web's packages: the bot looks here too."""

from collections.abc import Iterator
from pathlib import Path

from deploy.artifact import MANIFEST_NAME
from deploy.service.settings import Settings
from deploy.shipped import find_artifact, shipped_artifacts
from distill.errors import unknown_name


def artifact_folders(settings: Settings) -> dict[str, Path]:
    """Name → folder of every artifact; one of a run is called ``RUN.ARTIFACT``."""
    found = {name: find_artifact(name, runtime=settings.runtime) for name in shipped_artifacts()}
    found |= {folder.name: folder for folder in _artifacts_in(settings.models)}
    for run in sorted(settings.runs.glob("*/artifacts")):
        found |= {f"{run.parent.name}.{folder.name}": folder for folder in _artifacts_in(run)}
    return found


def folder_of(settings: Settings, name: str) -> Path:
    """Where an artifact lies: the name is looked up among those that are there, never made into a path.

    Raises:
        EdgeproofError: there is none of this name.
    """
    folders = artifact_folders(settings)
    if name not in folders:
        raise unknown_name(kind="model", given=name[:80], choices=folders)
    return folders[name]


def _artifacts_in(folder: Path | None) -> Iterator[Path]:
    """Subfolders that hold a manifest."""
    if folder is not None and folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if (path / MANIFEST_NAME).is_file())
