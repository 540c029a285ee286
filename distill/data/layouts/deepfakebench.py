r"""DeepfakeBench: a JSON ``{set: {label: {split: {[compression:] {video: {"label", "frames"}}}}}}`` and image trees.

The JSONs stand beside the image trees or in ``dataset_json/``; one of them may be named as the path itself. Frame
paths mix ``\`` and ``/``; the trees may lie below ``rgb/``, as in the benchmark's own folders.

The polarity comes from the label's name: ``FF-real``, ``CelebDFv2_real`` and ``DFDC_Real`` are real; ``..._fake``,
``DFDCP_FakeA`` and FaceForensics++'s methods (``FF-DF``, ...) are generated; an unknown label is an error. The label
is the generator's name too. Videos that share identities (``071_054``, ``id0_id1_0000``) are one group.

The benchmark's JSONs name many test videos as validation or training videos again. A frame is kept once: in test
before valid before train.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from distill.data.layouts.deepfakebench_json import Video, looks_right, read_videos
from distill.data.layouts.groups import Groups, group_problems, identities
from distill.data.layouts.walk import Files, is_file, is_text, no_images, one_line, shown, subfolders
from distill.data.samples import GENERATED, Dataset, Sample, Skipped
from distill.errors import EdgeproofError

FOLDER = "dataset_json"
_RANK = {"train": 1, "valid": 2, "test": 3}
_LOOK_AT_MOST = 64


def matches(root: Path) -> bool:
    """Whether ``root`` is such a JSON, or has one in it or in ``dataset_json/``."""
    if is_file(root):
        return looks_right(root)
    return any(
        looks_right(path) for folder in (root, root / FOLDER) for path in _jsons(folder)[:_LOOK_AT_MOST]
    )


def load(root: Path) -> Dataset:
    """Look up the frames that the JSONs name, without opening them.

    Raises:
        EdgeproofError: no such JSON, no frames, a JSON that is cut short, or an unknown label or split.
    """
    base, documents = _documents(root)
    videos = [video for document in documents for video in read_videos(document)]
    groups = Groups()
    for video in videos:
        groups.join(*_people(video))
    found = _Found(_Tree(base))
    for video in videos:
        found.add(video, group=groups.of(_people(video)[0]))
    skipped = tuple(found.left_out())
    samples = tuple(found.kept[path] for path in sorted(found.kept))
    if not samples:
        raise no_images(root, layout="deepfakebench", skipped=skipped)
    problems = (*found.problems(), *group_problems(samples, groups))
    return Dataset(root=base, layout="deepfakebench", samples=samples, skipped=skipped, problems=problems)


def _documents(root: Path) -> tuple[Path, list[Path]]:
    """The folder of the image trees, and the JSONs."""
    folder = root.parent if is_file(root) else root
    base = folder.parent if folder.name == FOLDER else folder
    candidates = [root] if is_file(root) else [*_jsons(root), *_jsons(root / FOLDER)]
    documents = [path for path in candidates if looks_right(path)]
    if not documents:
        raise EdgeproofError(
            f"{one_line(root)}: no JSON of DeepfakeBench's shape in it or in {FOLDER}/, "
            "expected {set: {label: {split: {video: {label, frames}}}}}"
        )
    return base, documents


def _jsons(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.name.lower().endswith(".json"))
    except OSError:
        return []


def _people(video: Video) -> tuple[str, ...]:
    return tuple(f"{video.family}/{person}" for person in identities(video.name) or (video.name,))


class _Tree:
    """Where the named frames lie below the base."""

    def __init__(self, base: Path) -> None:
        self.files = Files(base)
        self._base = base
        self._tops = {prefix: {path.name for path in subfolders(base / prefix)} for prefix in ("", "rgb/")}
        self._places: dict[str, str | None] = {}

    def place(self, folder: str) -> str | None:
        """A named folder as it is found below the base, ``None`` if it is not there."""
        if folder not in self._places:
            self._places[folder] = self._find(folder)
        return self._places[folder]

    def _find(self, folder: str) -> str | None:
        parts = [part for part in folder.split("/") if part not in ("", ".")]
        if ".." in parts:
            return None
        for prefix, tops in self._tops.items():
            for i, part in enumerate(parts):  # paths may begin above the base, on the machine that wrote them
                place = prefix + "/".join(parts[i:])
                if part in tops and is_text(place) and (self._base / place).is_dir():
                    return place
        return None


@dataclass
class _Found:
    """The frames met so far, each once."""

    tree: _Tree
    kept: dict[str, Sample] = field(default_factory=dict)
    missing: list[Skipped] = field(default_factory=list)
    missing_folders: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_both_classes: set[str] = field(default_factory=set)
    in_several_splits: list[str] = field(default_factory=list)

    def add(self, video: Video, *, group: str) -> None:
        """Keep the video's frames that exist."""
        generator = video.label_name if video.label == GENERATED else ""
        for frame in video.frames:
            folder, _, name = frame.rpartition("/")
            place = self.tree.place(folder)
            path = f"{place}/{name}"
            if place is None:
                self.missing_folders[folder, video.document] += 1
            elif path not in self.tree.files or not is_text(name):
                self.missing.append(
                    Skipped(path=shown(path), reason=f"no such file, but {video.document} names it")
                )
            else:
                self._keep(Sample(path, video.label, split=video.split, generator=generator, group=group))

    def _keep(self, sample: Sample) -> None:
        before = self.kept.setdefault(sample.path, sample)
        if before.label != sample.label:
            self.in_both_classes.add(sample.path)
        if before.split != sample.split:
            self.in_several_splits.append(sample.path)
            if _RANK[sample.split] > _RANK[before.split]:
                self.kept[sample.path] = sample

    def left_out(self) -> list[Skipped]:
        """What is not in ``kept``, which then holds no frame of two classes any more."""
        folders = [
            Skipped(
                path=shown(folder) or ".", reason=f"no such folder, but {document} names {count} frames in it"
            )
            for (folder, document), count in self.missing_folders.items()
        ]
        clashes = [
            Skipped(path=path, reason="named as real and as generated")
            for path in sorted(self.in_both_classes)
        ]
        for path in self.in_both_classes:
            self.kept.pop(path, None)
        return [*self.missing, *folders, *clashes]

    def problems(self) -> list[str]:
        """What a reader of the set should know."""
        if not self.in_several_splits:
            return []
        paths = dict.fromkeys(self.in_several_splits)
        return [
            f"{len(paths)} images are named in several splits, first {next(iter(paths))!r}; each is kept once, "
            "in test before valid before train"
        ]
