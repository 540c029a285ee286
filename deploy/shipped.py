"""Artifacts that come with the package, by name: small INT8 students for each runtime. Torch-free."""

from pathlib import Path

from deploy.sessions import installed_runtimes
from distill.errors import EdgeproofError

DEFAULT = "photos-128"
_FOLDER = Path(__file__).parent / "pretrained"


def shipped_artifacts() -> dict[str, dict[str, Path]]:
    """Name → runtime → the artifact's folder."""
    return {
        named.name: {folder.name: folder for folder in sorted(named.iterdir()) if folder.is_dir()}
        for named in sorted(_FOLDER.iterdir())
        if named.is_dir()
    }


def find_artifact(given: str | Path, *, runtime: str | None = None) -> Path:
    """The folder of an artifact: ``given`` itself, or of a shipped one that has this name and no folder has.

    Args:
        given: a folder, or a shipped artifact's name.
        runtime: whose model it must hold; by default the first that is installed.

    Raises:
        EdgeproofError: a shipped artifact that holds no model for ``runtime``.
    """
    path = Path(given)
    if path.exists():  # before anything is listed: what a cold process does is counted in milliseconds
        return path
    folders = shipped_artifacts().get(str(given))
    if folders is None:
        return path
    return folders[_choose(str(given), folders, wanted=runtime)]


def _choose(name: str, folders: dict[str, Path], *, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in folders:
            raise EdgeproofError(
                f"{name}: holds models for {', '.join(folders)}, the runtime asked for is {wanted}"
            )
        return wanted
    there = [runtime for runtime in installed_runtimes() if runtime in folders]
    return there[0] if there else next(iter(folders))  # loading it then says what to install
