"""Celeb-DF frames: ``Celeb-real``, ``Celeb-synthesis`` and ``YouTube-real``, frames in one folder per video.

The polarity comes from those folders' names: ``Celeb-synthesis`` is generated, the other two are real. The trap is
``List_of_testing_videos.txt``, where 1 means **real**; it decides what is *test*, and its labels are only compared.

A synthesised video ``id0_id1_0000`` shows id0 with the face of id1, so both are one group. In Celeb-DF v2 that
joins its 59 people into a few large groups that stand on both sides of the official split: a problem says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from distill.data.layouts.documents import read_text
from distill.data.layouts.groups import Groups, group_problems, identities
from distill.data.layouts.walk import assemble, is_file, list_images, one_line, subfolders
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError

LIST = "List_of_testing_videos.txt"
FOLDERS = {"celeb-real": REAL, "celeb-synthesis": GENERATED, "youtube-real": REAL}
_PLAIN = frozenset({"frames", "images", "videos", "faces"})
_LINE = re.compile(r"([01])\s+([^/\\]+)[/\\](.+?)(?:\.mp4)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Video:
    key: tuple[str, str]
    """Its folder in lower case, and its name: as the list names it."""
    label: int
    generator: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Listed:
    line: int
    label: int
    name: str


def matches(root: Path) -> bool:
    """Whether one of the two folders stands in ``root`` that no other set has."""
    return any(folder.name.lower() in ("celeb-real", "celeb-synthesis") for folder in subfolders(root))


def load(root: Path) -> Dataset:
    """List the frames without opening them.

    Raises:
        EdgeproofError: no frames, or a list of testing videos with a line that is none.
    """
    listing = list_images(root)
    listed = _read_list(root / LIST)
    videos = {folder: _video(folder) for folder in {path.rpartition("/")[0] for path in listing.paths}}
    groups = Groups()
    for video in videos.values():
        if isinstance(video, _Video):
            groups.join(*video.people)

    def describe(path: str, parts: tuple[str, ...]) -> Sample | str:
        video = videos[path.rpartition("/")[0]]
        if not isinstance(video, _Video):
            return video
        split = ("test" if video.key in listed else "train") if listed else ""
        group = groups.of(video.people[0])
        return Sample(path=path, label=video.label, split=split, generator=video.generator, group=group)

    dataset = assemble(root, listing, layout="celeb_df", describe=describe, documents={LIST})
    found = {video.key: video for video in videos.values() if isinstance(video, _Video)}
    return replace(dataset, problems=(*_compare(listed, found), *group_problems(dataset.samples, groups)))


def _video(folder: str) -> _Video | str:
    top, *inner = folder.split("/")
    label = FOLDERS.get(top.lower())
    if label is None:
        return f"in none of the folders {', '.join(FOLDERS)}"
    for name in reversed(inner):
        people = _people(top, name)
        if people and name.lower() not in _PLAIN:
            generator = top if label == GENERATED else ""
            return _Video((top.lower(), name), label=label, generator=generator, people=people)
    return f"in no folder of a video below {top}, expected names such as id0_0000, id0_id1_0000 or 00170"


def _people(top: str, video: str) -> tuple[str, ...]:
    if top.lower() == "youtube-real":
        return (f"YouTube-real/{video}",)
    return identities(video) if video.startswith("id") else ()


def _read_list(path: Path) -> dict[tuple[str, str], _Listed]:
    if not is_file(path):
        return {}
    found: dict[tuple[str, str], _Listed] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        match = _LINE.fullmatch(line.strip())
        if match:
            label, folder, name = match.groups()
            found[folder.lower(), name] = _Listed(
                number, REAL if label == "1" else GENERATED, f"{folder}/{name}"
            )
        elif line.strip():
            raise EdgeproofError(
                f"{one_line(path)}: line {number}: {line[:80]!r}, expected '1 YouTube-real/00170.mp4' (1 is real, 0 fake)"
            )
    return found


def _compare(listed: dict[tuple[str, str], _Listed], found: dict[tuple[str, str], _Video]) -> Iterator[str]:
    wrong = [item for key, item in listed.items() if item.label != FOLDERS.get(key[0], item.label)]
    if wrong:
        yield (
            f"{LIST}: {len(wrong)} of {len(listed)} labels contradict their folder (1 means real; the folder decides), "
            f"first line {wrong[0].line}: {wrong[0].name!r}"
        )
    missing = [item for key, item in listed.items() if key not in found]
    if missing:
        yield f"{LIST}: {len(missing)} of {len(listed)} videos have no frames here, first {missing[0].name!r}"
