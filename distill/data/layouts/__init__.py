"""The layouts that a data set may have on disk: one file each, one explicit table, recognised by themselves."""

from pathlib import Path
from typing import Protocol

from distill.data.layouts import class_folders, simulated
from distill.data.layouts.columns import ManifestColumns
from distill.data.samples import Dataset
from distill.errors import EdgeproofError, unknown_name


class Layout(Protocol):
    """How a module of this package reads one layout."""

    def matches(self, root: Path) -> bool:
        """Whether the folder has this shape, judged without opening images."""

    def load(self, root: Path) -> Dataset:
        """The samples, with labels, splits, generators and groups as far as the layout tells them."""


LAYOUTS: dict[str, Layout] = {
    "class_folders": class_folders,
    "simulated": simulated,
}


def load_dataset(root: Path, *, layout: str = "auto", columns: ManifestColumns | None = None) -> Dataset:
    """Read the data set that ``root`` names, a folder or a single file (a manifest, a tar).

    ``columns`` are those of a manifest; other layouts have none.

    Raises:
        EdgeproofError: no such folder, unknown layout, no or several layouts match.
    """
    if not root.exists():
        raise EdgeproofError(f"{root}: no such file or folder, expected a data set ({', '.join(LAYOUTS)})")
    if layout == "auto":
        layout = _recognise(root)
    elif layout not in LAYOUTS:
        raise unknown_name(kind="layout", given=layout, choices=["auto", *LAYOUTS])
    return LAYOUTS[layout].load(root)


def _recognise(root: Path) -> str:
    if simulated.matches(root):  # a simulated set is made of class folders too; its manifest tells more
        return "simulated"
    found = [name for name, layout in LAYOUTS.items() if layout.matches(root)]
    if not found:
        raise EdgeproofError(
            f"{root}: no known layout, expected class folders such as real/ and fake/ (also below train/, test/)"
        )
    if len(found) > 1:
        raise EdgeproofError(f"{root}: several layouts match ({', '.join(found)}); name one with data.layout")
    return found[0]
