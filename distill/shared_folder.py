"""Whether machines that work together see the same folder. Torch-free."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import EdgeproofError


@contextmanager
def marked(folder: Path) -> Iterator[str]:
    """Name of a new file in ``folder``, which is made; the file is there while the block runs.

    No machine has looked the name up before, so that none remembers it as missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".shared-") as file:
        yield Path(file.name).name


def sees(folder: Path, mark: str) -> bool:
    """Whether ``folder`` is, on this machine, the one that was marked."""
    return (folder / mark).is_file()


def not_shared(folder: Path, machines: str) -> EdgeproofError:
    """The one wording for machines that see another folder under this path, or none."""
    return EdgeproofError(
        f"{folder}: not the same folder on {machines} as on the first machine, expected one that all share under this path"
    )
