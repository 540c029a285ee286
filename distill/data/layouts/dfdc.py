"""DFDC frames: one or several folders with a ``metadata.json``, and the frames of its videos below each.

``{"a.mp4": {"label": "FAKE" | "REAL", "split": "train", "original": "b.mp4"}}``; frames lie in folders named after
the video (``a/0.jpg``, at any depth) or in files named after it (``a_0.jpg``).

The polarity comes from the words ``FAKE`` and ``REAL`` alone; any other label is an error. A fake and its
``original`` are one group, as are all fakes of one original. The set does
not say which method made a fake.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from distill.data.layouts.documents import read_head, read_json
from distill.data.layouts.groups import Groups, group_problems
from distill.data.layouts.vocabulary import UNNAMED, label_of, split_of
from distill.data.layouts.walk import assemble, first_left_out, glance, list_images, one_line
from distill.data.samples import GENERATED, Dataset, Sample
from distill.errors import EdgeproofError

METADATA = "metadata.json"
_WORDS = ("real", "fake")
_LABEL = re.compile(r'"label"\s*:\s*"(REAL|FAKE)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Video:
    name: str
    label: int
    split: str


def matches(root: Path) -> bool:
    """Whether a ``metadata.json`` with FAKE or REAL in it stands in ``root``, or one or two levels below."""
    return any(_LABEL.search(read_head(folder / METADATA, size=65536)) for folder in _near(root))


def load(root: Path) -> Dataset:
    """List the frames without opening them.

    Raises:
        EdgeproofError: no frames, no ``metadata.json``, one that is cut short, or an unknown label or split.
    """
    listing = list_images(root)
    documents = [item.path for item in listing.skipped if PurePosixPath(item.path).name == METADATA]
    if not documents:
        raise EdgeproofError(
            f"{one_line(root)}: no {METADATA} in it, expected one beside the frames of its videos"
            f"{first_left_out(listing.skipped)}"
        )
    groups = Groups()
    sets = {name.removesuffix(METADATA): dict(_read(root / name, groups=groups)) for name in documents}

    def describe(path: str, parts: tuple[str, ...]) -> Sample | str:
        depth = _depth_of_set(sets, parts)
        if depth is None:
            return f"no {METADATA} beside it or above it"
        video = _video_of(sets[_prefix(parts[:depth])], parts[depth:])
        if video is None:
            return f"named after no video of its {METADATA}"
        generator = UNNAMED if video.label == GENERATED else ""
        return Sample(path, video.label, split=video.split, generator=generator, group=groups.of(video.name))

    dataset = assemble(root, listing, layout="dfdc", describe=describe, documents=set(documents))
    return replace(dataset, problems=tuple(group_problems(dataset.samples, groups)))


def _near(root: Path) -> Iterator[Path]:
    yield root
    for folder in glance(root):
        yield folder
        yield from glance(folder)


def _read(path: Path, *, groups: Groups) -> Iterator[tuple[str, _Video]]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise EdgeproofError(
            f"{one_line(path)}: found no object, expected {{video: {{label, split, original}}}}"
        )
    for file, entry in document.items():
        video = _parse(entry, name=_stem(file), where=f"{one_line(path)}: {file!r}")
        original = entry.get("original")
        groups.join(video.name, *([_stem(original)] if isinstance(original, str) and original else []))
        yield video.name, video


def _parse(entry: Any, *, name: str, where: str) -> _Video:
    if not isinstance(entry, dict):
        raise EdgeproofError(f"{where}: found {entry!r:.40}, expected an object with a label")
    word, part = entry.get("label"), entry.get("split") or ""
    label = label_of(word, among=_WORDS) if isinstance(word, str) else None
    if label is None:
        raise EdgeproofError(f"{where}.label: found {word!r:.40}, expected FAKE or REAL")
    split = split_of(part) if isinstance(part, str) and part else part
    if not isinstance(split, str):
        raise EdgeproofError(f"{where}.split: found {part!r:.40}, expected train, validation or test")
    return _Video(name=name, label=label, split=split)


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def _depth_of_set(sets: dict[str, dict[str, _Video]], parts: tuple[str, ...]) -> int | None:
    """How deep the nearest folder with metadata lies."""
    return next((depth for depth in range(len(parts) - 1, -1, -1) if _prefix(parts[:depth]) in sets), None)


def _prefix(folders: tuple[str, ...]) -> str:
    return "".join(f"{folder}/" for folder in folders)


def _video_of(videos: dict[str, _Video], parts: tuple[str, ...]) -> _Video | None:
    """By the folder first: in ``1/0.jpg`` the 0 is a frame, even if there is a video called 0 as well."""
    stem = _stem(parts[-1])
    by_file = (
        stem.rsplit("_", cut)[0] for cut in range(stem.count("_") + 1)
    )  # video, video_frame, video_frame_face
    return next((videos[name] for name in (*reversed(parts[:-1]), *by_file) if name in videos), None)
