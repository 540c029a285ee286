"""The layouts that a data set may have on disk: one file each, one explicit table, recognised by themselves."""

import os
from pathlib import Path
from typing import Protocol

from distill.data.columns import ManifestColumns
from distill.data.layouts import (
    artifact,
    celeb_df,
    class_folders,
    community_forensics,
    deepfakebench,
    dfdc,
    faceforensics,
    faces_140k,
    forensynths,
    genimage,
    grip,
    manifest,
    simulated,
    unbiased_genimage,
    webdataset,
)
from distill.data.layouts.walk import is_file, one_line
from distill.data.samples import Dataset
from distill.errors import EdgeproofError, unknown_name

_SHOWN = 5
_LISTS = frozenset({"grip", "unbiased_genimage"})  # come with a tree of folders, of which the list tells more
_SHAPES = frozenset({"class_folders", "community_forensics", "forensynths", "genimage"})


class Layout(Protocol):
    """How a module of this package reads one layout."""

    def matches(self, root: Path) -> bool:
        """Whether the folder has this shape, judged without opening images."""

    def load(self, root: Path) -> Dataset:
        """The samples, with labels, splits, generators and groups as far as the layout tells them."""


LAYOUTS: dict[str, Layout] = {
    "artifact": artifact,
    "celeb_df": celeb_df,
    "class_folders": class_folders,
    "community_forensics": community_forensics,
    "deepfakebench": deepfakebench,
    "dfdc": dfdc,
    "faceforensics": faceforensics,
    "faces_140k": faces_140k,
    "forensynths": forensynths,
    "genimage": genimage,
    "grip": grip,
    "manifest": manifest,
    "simulated": simulated,
    "unbiased_genimage": unbiased_genimage,
    "webdataset": webdataset,
}


def load_dataset(root: Path, *, layout: str = "auto", columns: ManifestColumns | None = None) -> Dataset:
    """Read the data set that ``root`` names, a folder or a single file (a manifest, a tar).

    ``columns`` are those of a manifest; other layouts have none.

    Raises:
        EdgeproofError: no such folder, unknown layout, no or several layouts match.
    """
    layout = find_layout(root, layout=layout)
    if layout == "manifest":
        return manifest.load(root, columns=columns or ManifestColumns())
    if columns and columns != ManifestColumns():
        raise EdgeproofError(
            f"{one_line(root)}: columns are given, but the layout {layout!r} has none to name"
        )
    return LAYOUTS[layout].load(root)


def find_layout(root: Path, *, layout: str = "auto") -> str:
    """The layout of what ``root`` names, recognised unless it is given.

    Raises:
        EdgeproofError: no such folder, unknown layout, no or several layouts match.
    """
    if not _exists(root):
        raise EdgeproofError(
            f"{one_line(root)}: no such file or folder, expected a data set ('edgeproof list layouts' names the shapes)"
        )
    if layout == "auto":
        return _recognise(root)
    if layout not in LAYOUTS:
        raise unknown_name(kind="layout", given=layout, choices=["auto", *LAYOUTS])
    return layout


def _exists(root: Path) -> bool:
    try:
        return root.exists()
    except OSError:  # in a folder that is closed, or too long a name
        return False


def _recognise(root: Path) -> str:
    if _matches(simulated, root):  # a simulated set is made of class folders too; its manifest tells more
        return "simulated"
    found = [name for name, layout in LAYOUTS.items() if _matches(layout, root)]
    if not _LISTS.isdisjoint(found):
        found = [name for name in found if name not in _SHAPES]
    if not found:
        raise EdgeproofError(
            f"{one_line(root)}: no known layout, expected class folders such as real/ and fake/ (also below train/, "
            f"test/) or another of 'edgeproof list layouts'; found {_seen(root)}"
        )
    if len(found) > 1:
        raise EdgeproofError(
            f"{one_line(root)}: several layouts match ({', '.join(found)}); "
            "choose one with --layout NAME or data.layout"
        )
    return found[0]


def _matches(layout: Layout, root: Path) -> bool:
    try:
        return layout.matches(root)
    except OSError:
        return False


def _seen(root: Path) -> str:
    if is_file(root):
        return f"a file that is no known list ({root.suffix or 'no suffix'})"
    try:
        names = sorted(entry.name for entry in os.scandir(root))
    except OSError as error:
        return f"a folder that cannot be read ({error.strerror})"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"{name!r:.60}" for name in names[:_SHOWN]) + more if names else "an empty folder"
