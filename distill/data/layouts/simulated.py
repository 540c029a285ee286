"""A set that ``edgeproof data simulate`` wrote: ``manifest.json`` says what every image is."""

from pathlib import Path

from pydantic import ValidationError

from distill.data.samples import Dataset
from distill.data.simulate.manifest import MANIFEST, SCHEMA_VERSION, SETTINGS, Manifest
from distill.data.storage import tar_of
from distill.errors import EdgeproofError
from distill.files import read_json


def matches(root: Path) -> bool:
    """Whether ``root`` is a simulated set, finished or not."""
    return (root / MANIFEST).is_file() and (root / SETTINGS).is_file()


def load(root: Path) -> Dataset:
    """Same as :func:`load_simulated`."""
    return load_simulated(root)


def load_simulated(root: Path) -> Dataset:
    """Read a simulated set without opening its images.

    Raises:
        EdgeproofError: the manifest is missing, cut short or of another version, or files are missing.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise EdgeproofError(f"{path}: no such file, expected the manifest of a finished simulated set")
    manifest = _parse(path)
    paths = {tar_of(record.to_sample()) or record.path for record in manifest.samples}
    names = sorted(paths | {record.mask for record in manifest.samples if record.mask})
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise EdgeproofError(
            f"{root}: {len(missing)} of {len(names)} files are missing, first {missing[0]}; simulate again with the "
            "same settings to restore them"
        )
    return manifest.to_dataset(root)


def _parse(path: Path) -> Manifest:
    try:
        document = read_json(path)
    except ValueError as error:
        raise EdgeproofError(
            f"{path}: no whole JSON document ({error}), expected a finished manifest"
        ) from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise EdgeproofError(f"{path}: schema_version is {version!r}, expected {SCHEMA_VERSION}")
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise EdgeproofError(f"{path}: {where}: {first['msg']} (of {error.error_count()} mistakes)") from None
