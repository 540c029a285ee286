"""FaceForensics++ frames, below ``original_sequences`` and ``manipulated_sequences``, in one folder per video.

``original_sequences/<source>/<compression>/.../<video>/*.png``, and
``manipulated_sequences/<method>/<compression>/.../<target>_<source>/*.png``.

The polarity comes from the names of those two folders; the method is the generator. ``train.json``, ``val.json`` and
``test.json``, at the root or in ``splits/``, list pairs of videos (``[["071", "054"], ...]``) and state the splits.

Identities stay together: target and source of every manipulated video, and both videos of every pair, are one
group. DeepFakeDetection swaps its actors so freely that most become a single group, and a problem says so.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.data.layouts.documents import read_json
from distill.data.layouts.groups import Groups, group_problems, identities
from distill.data.layouts.vocabulary import split_of
from distill.data.layouts.walk import assemble, is_file, list_images, one_line, subfolders
from distill.data.samples import GENERATED, REAL, Dataset, Sample
from distill.errors import EdgeproofError

FOLDERS = {"original_sequences": REAL, "manipulated_sequences": GENERATED}
TABLES = tuple(f"{folder}{name}.json" for folder in ("", "splits/") for name in ("train", "val", "test"))
_MASKS = {"masks": "masks of what was altered, no images of a class"}


@dataclass(frozen=True, slots=True)
class _Video:
    label: int
    generator: str
    people: tuple[str, ...]
    """Target and source; one person in an original."""


def matches(root: Path) -> bool:
    """Whether one of the two folders stands in ``root``."""
    return any(folder.name in FOLDERS for folder in subfolders(root))


def load(root: Path) -> Dataset:
    """List the frames without opening them.

    Raises:
        EdgeproofError: no frames, or a split JSON that is cut short, lists no pairs or contradicts another.
    """
    listing = list_images(root, leave_out=_MASKS)
    groups, stated = Groups(), _read_splits(root)
    for pair in stated.pairs:
        groups.join(*pair)
    videos = {
        folder: _video(folder, stated) for folder in {path.rpartition("/")[0] for path in listing.paths}
    }
    for video in videos.values():
        if isinstance(video, _Video):
            groups.join(*video.people)
    splits = _splits_of_groups(groups, stated)

    def describe(path: str, parts: tuple[str, ...]) -> Sample | str:
        video = videos[path.rpartition("/")[0]]
        if not isinstance(video, _Video):
            return video
        group = groups.of(video.people[0])
        split = stated.split_of_people(video.people) or splits.get(group, "")
        return Sample(path, video.label, split=split, generator=video.generator, group=group)

    dataset = assemble(root, listing, layout="faceforensics", describe=describe, documents=stated.documents)
    problems = [*_unstated(dataset, stated), *group_problems(dataset.samples, groups)]
    return replace(dataset, problems=tuple(problems))


@dataclass(frozen=True, slots=True)
class _Stated:
    """What the split JSONs say."""

    documents: tuple[str, ...]
    pairs: tuple[tuple[str, ...], ...]
    splits: dict[str, str]

    def split_of_people(self, people: tuple[str, ...]) -> str:
        """The split of a video with these people; "" if none is stated."""
        return next((self.splits[name] for name in people if name in self.splits), "")


def _read_splits(root: Path) -> _Stated:
    documents = tuple(name for name in TABLES if is_file(root / name))
    pairs: list[tuple[str, ...]] = []
    splits: dict[str, str] = {}
    for document in documents:
        split = split_of(Path(document).stem) or ""
        for pair in _pairs(root / document, read_json(root / document)):
            pairs.append(pair)
            for name in pair:
                if splits.setdefault(name, split) != split:
                    raise EdgeproofError(
                        f"{one_line(root / document)}: {name!r} stands in {splits[name]!r} too, expected one split"
                    )
    return _Stated(documents, tuple(pairs), splits)


def _pairs(path: Path, document: Any) -> list[tuple[str, ...]]:
    if not isinstance(document, list):
        raise EdgeproofError(
            f'{one_line(path)}: found no list, expected pairs of videos such as [["071", "054"]]'
        )
    for place, pair in enumerate(document):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)):
            raise EdgeproofError(
                f'{one_line(path)}: [{place}]: found {pair!r:.40}, expected a pair of videos such as ["071", "054"]'
            )
    return [tuple(pair) for pair in document]


def _video(folder: str, stated: _Stated) -> _Video | str:
    top, *inner = folder.split("/")
    label = FOLDERS.get(top)
    if label is None:
        return f"in none of the folders {', '.join(FOLDERS)}"
    shape = "01__exit_room or 071" if label == REAL else "071_054 or 01_02__exit_room__YVGY8LOK"
    for name in reversed(inner[1:]):
        people = identities(name)
        if len(people) == (1 if label == REAL else 2):
            if len(splits := {stated.splits[person] for person in people if person in stated.splits}) > 1:
                return f"its two videos stand in different splits ({', '.join(sorted(splits))})"
            return _Video(label, generator=inner[0] if label == GENERATED else "", people=people)
    return f"in no folder of a video below {top}, expected names such as {shape}"


def _splits_of_groups(groups: Groups, stated: _Stated) -> dict[str, str]:
    """The split of a whole group, for its members that no JSON names; groups with several are left out."""
    found: dict[str, set[str]] = {}
    for name, split in stated.splits.items():
        found.setdefault(groups.of(name), set()).add(split)
    return {group: splits.pop() for group, splits in found.items() if len(splits) == 1}


def _unstated(dataset: Dataset, stated: _Stated) -> list[str]:
    rest = [sample for sample in dataset.samples if not sample.split]
    if not rest or not stated.documents:
        return []
    return [
        f"{len(rest)} of {len(dataset.samples)} images are of videos that no split JSON names, first {rest[0].path!r}; "
        "they are split by group"
    ]
