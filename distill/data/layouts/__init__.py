"""The layouts that a data set may have on disk: one file each, one explicit table, recognised by themselves."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from distill.data.columns import Grouping, ManifestColumns
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
    named_folders,
    simulated,
    unbiased_genimage,
    webdataset,
)
from distill.data.layouts.groups import group_by_stem
from distill.data.layouts.walk import is_file, one_line
from distill.data.samples import Dataset
from distill.errors import EdgeproofError, cause, unknown_name

_SHOWN = 5
_LISTS = frozenset({"grip", "unbiased_genimage"})  # come with a tree of folders, of which the list tells more
_SHAPES = frozenset({"class_folders", "community_forensics", "forensynths", "genimage"})


class NoLayoutError(EdgeproofError):
    """A folder that has none of the known shapes."""


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

CLASS_LAYOUTS = ("class_folders", "manifest")
"""Those that may hold K classes of any names."""


def load_dataset(
    root: Path,
    *,
    layout: str = "auto",
    columns: ManifestColumns | None = None,
    labels: Sequence[str] = (),
    groups: Grouping = "layout",
) -> Dataset:
    """Read the data set that ``root`` names, a folder or a single file (a manifest, a tar).

    ``columns`` are those of a manifest; other layouts have none. ``labels`` names K classes, whose numbers the samples
    then have; without them, data is real or generated. ``groups`` says what belongs together: what the layout tells, or
    files of the same name (``stem``). A table that lies beside images and was not read is told in ``problems``.

    Raises:
        EdgeproofError: no such folder, unknown layout, no or several layouts match, or a label that is none of those.
    """
    found = find_layout(root, layout=layout, labels=labels, columns=columns)
    dataset = _load(root, layout=found, columns=columns, labels=labels)
    if layout == "auto":
        dataset = replace(
            dataset, problems=(*dataset.problems, *manifest.beside(root, layout=found, columns=columns))
        )
    return group_by_stem(dataset) if groups == "stem" else dataset


def _load(root: Path, *, layout: str, columns: ManifestColumns | None, labels: Sequence[str]) -> Dataset:
    if layout == "manifest":
        return manifest.load(root, columns=columns or ManifestColumns(), labels=labels)
    if columns and columns != ManifestColumns():
        raise EdgeproofError(
            f"{one_line(root)}: columns are given, but the layout {layout!r} has none to name"
        )
    if labels:
        return named_folders.load(root, labels=labels)
    return LAYOUTS[layout].load(root)


def find_layout(
    root: Path, *, layout: str = "auto", labels: Sequence[str] = (), columns: ManifestColumns | None = None
) -> str:
    """The layout of what ``root`` names, recognised unless it is given; for K ``labels`` one of :data:`CLASS_LAYOUTS`.

    A folder of no known shape with one table that has the ``columns`` of a manifest is that manifest.

    Raises:
        EdgeproofError: no such folder, unknown layout, no or several layouts match.
    """
    if not _exists(root):
        raise EdgeproofError(
            f"{one_line(root)}: no such file or folder, expected a data set ('edgeproof list layouts' names the shapes)"
        )
    if layout == "auto":
        try:
            return _recognise_classes(root, labels) if labels else _recognise(root)
        except NoLayoutError:
            if manifest.lone_table(root, columns):
                return "manifest"
            raise
    if labels and layout not in CLASS_LAYOUTS:
        raise unknown_name(kind="layout of named classes", given=layout, choices=CLASS_LAYOUTS)
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
        raise NoLayoutError(
            f"{one_line(root)}: no known layout, expected class folders such as real/ and fake/ (also below train/, "
            f"test/) or another of 'edgeproof list layouts'; found {_seen(root)}"
        )
    if len(found) > 1:
        raise EdgeproofError(
            f"{one_line(root)}: several layouts match ({', '.join(found)}); "
            "choose one with --layout NAME or data.layout"
        )
    return found[0]


def _recognise_classes(root: Path, labels: Sequence[str]) -> str:
    if _matches(manifest, root):
        return "manifest"
    if not is_file(root) and named_folders.matches(root, labels=labels):
        return "class_folders"
    raise NoLayoutError(
        f"{one_line(root)}: no images by class, expected folders named {', '.join(labels)} (task.labels; also below "
        f"train/, valid/, test/) or a manifest; found {_seen(root)}"
    )


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
        return f"a folder that cannot be read ({cause(error)})"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    seen = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN]) + more if names else "an empty folder"
    tables = [table.name for table in manifest.tables_in(root)]
    hint = " (a table is read where one alone has the columns 'path' and 'label', or those that data.columns names)"
    return seen + hint * bool(tables)
