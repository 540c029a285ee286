"""The JSON of DeepfakeBench, read into videos; whatever it holds that it should not is named by its JSON path."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.data.layouts.documents import read_head, read_json
from distill.data.layouts.vocabulary import split_of
from distill.data.layouts.walk import one_line
from distill.data.samples import GENERATED, REAL
from distill.errors import EdgeproofError

_METHODS = frozenset({"ff-df", "ff-f2f", "ff-fs", "ff-nt", "ff-fh", "ff-sh"})
_CLASS = re.compile(r"(?:(.*)[-_])?(?:(real)|fake[ab]?)", re.IGNORECASE)
_KEY = r'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:'
_SHAPE = re.compile(_KEY * 3 + r"\s*\{")
_HEAD = 65536


@dataclass(frozen=True, slots=True)
class Video:
    """One video of the JSON; ``frames`` are its paths with forward slashes, ``family`` the set it was made from."""

    document: str
    family: str
    label_name: str
    label: int
    split: str
    name: str
    frames: tuple[str, ...]


def looks_right(path: Path) -> bool:
    """Whether the beginning of the file has the shape."""
    head = read_head(path, size=_HEAD)
    return bool(_SHAPE.match(head)) and '"frames"' in head


def read_videos(path: Path) -> Iterator[Video]:
    """All videos of one JSON.

    Raises:
        EdgeproofError: cut short, another shape, an unknown label or an unknown split.
    """
    top = one_line(path)
    for dataset, labels in _items(read_json(path), top):
        for label_name, splits in _items(labels, f"{top}: {dataset!r}"):
            where = f"{top}: {dataset!r}.{label_name!r}"
            label, family = _class_of(label_name, where)
            for word, node in _items(splits, where):
                split = split_of(word)
                if split is None:
                    raise EdgeproofError(f"{where}: unknown split {word!r}, expected train, val or test")
                for name, entry, here in _videos(node, f"{where}.{word!r}"):
                    _check_label(entry, label, here)
                    frames = tuple(_frames(entry, here))
                    yield Video(
                        path.name,
                        family or dataset,
                        label_name,
                        label,
                        split,
                        name or _folder_of(frames),
                        frames,
                    )


def _items(node: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(node, dict):
        raise EdgeproofError(f"{where}: found {node!r:.40}, expected an object")
    return list(node.items())


def _class_of(name: str, where: str) -> tuple[int, str]:
    if name.lower() in _METHODS:
        return GENERATED, "FF"
    match = _CLASS.fullmatch(name)
    if match is None:
        raise EdgeproofError(
            f"{where}: unknown label, expected names such as FF-real, FF-DF or CelebDFv2_fake"
        )
    return (REAL if match[2] else GENERATED), match[1] or ""


def _is_video(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("frames"), list)


def _videos(node: Any, where: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The videos of a split, directly or below a compression level."""
    if _is_video(node):  # the benchmark's DFDC.json has a nameless video among the named ones
        yield "", node, where
        node = {key: value for key, value in node.items() if isinstance(value, dict)}
    for key, value in _items(node, where):
        here = f"{where}.{key!r}"
        if _is_video(value):
            yield key, value, here
            continue
        for name, entry in _items(value, here):
            if not _is_video(entry):
                raise EdgeproofError(
                    f"{here}.{name!r}: found {entry!r:.40}, expected a video with a list of frames"
                )
            yield name, entry, f"{here}.{name!r}"


def _check_label(entry: dict[str, Any], label: int, where: str) -> None:
    name = entry.get("label")
    if not isinstance(name, str):
        raise EdgeproofError(f"{where}: found the label {name!r:.40}, expected a name")
    if _class_of(name, f"{where}.{name!r}")[0] != label:
        raise EdgeproofError(f"{where}: its label {name!r} contradicts the label that it stands below")


def _frames(entry: dict[str, Any], where: str) -> Iterator[str]:
    for frame in entry["frames"]:
        if not isinstance(frame, str):
            raise EdgeproofError(f"{where}.frames: found {frame!r:.40}, expected paths")
        yield frame.replace("\\", "/")


def _folder_of(frames: tuple[str, ...]) -> str:
    return frames[0].split("/")[-2] if frames and "/" in frames[0] else ""
