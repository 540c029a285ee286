"""Who belongs together: identities that share a video are one group, which must not straddle a split. Torch-free."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from distill.data.samples import UNLABELLED, Dataset, Sample

_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"([0-9]{3})(?:_([0-9]{3}))?",  # FaceForensics++: 071, and 071_054 with the face of 054
        r"([0-9]{2})(?:_([0-9]{2}))?__.+",  # DeepFakeDetection: 01__exit_room, 01_02__exit_room__YVGY8LOK
        r"(id[0-9]+)(?:_(id[0-9]+))?_[0-9]+",  # Celeb-DF: id0_0000, and id0_id1_0000 with the face of id1
    )
)


def identities(video: str) -> tuple[str, ...]:
    """Who is to be seen in a video: its own person, then whose face was put in; () if the name does not tell."""
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(video):
            return tuple(name for name in match.groups() if name)
    return ()


class Groups:
    """Union-find over names; a group goes by the name that sorts first in it."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, *names: str) -> None:
        """Put all ``names`` into one group."""
        first = min(self.of(name) for name in names)
        for name in names:
            self._above[self.of(name)] = first

    def of(self, name: str) -> str:
        """The group's name."""
        above = self._above.setdefault(name, name)
        while above != name:
            self._above[name] = self._above[above]  # halves the way for the next who asks
            name, above = above, self._above[above]
        return name

    def sizes(self) -> Counter[str]:
        """How many names each group holds."""
        return Counter(self.of(name) for name in list(self._above))


def group_problems(samples: Sequence[Sample], groups: Groups) -> list[str]:
    """What a reader should know: groups that straddle the set's own splits, and one that is most of the set."""
    return [*_straddling(samples), *_coarse(samples, groups.sizes())]


def _straddling(samples: Iterable[Sample]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for sample in samples:
        splits.setdefault(sample.group, set()).add(sample.split)
    found = sorted(group for group, names in splits.items() if len(names) > 1)
    if not found:
        return []
    names = ", ".join(sorted(name or "no split" for name in splits[found[0]]))
    return [
        f"{len(found)} of {len(splits)} groups (identities, source videos) straddle the splits that the set states, "
        f"first {found[0]!r} ({names}); the set's own splits are kept"
    ]


def _coarse(samples: Sequence[Sample], sizes: Counter[str]) -> list[str]:
    group, count = Counter(sample.group for sample in samples).most_common(1)[0]
    if 2 * count <= len(samples) or sizes[group] <= 2:
        return []
    return [
        f"one group, {group!r}, holds {count} of {len(samples)} images, since {sizes[group]} identities or source videos "
        "belong together in it; no split can divide it"
    ]


def group_by_stem(dataset: Dataset) -> Dataset:
    """The same images, those with the same file name (without folder and suffix) in one group."""
    samples = (replace(sample, group=_stem(sample.path)) for sample in dataset.samples)
    return replace(dataset, samples=tuple(samples))


def _stem(path: str) -> str:
    """The file's name without its last suffix; a millionth of a second, where pathlib takes several."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def knows_groups(samples: Iterable[Sample]) -> bool:
    """Whether anything tells which images belong together."""
    return any(sample.group not in ("", sample.path) for sample in samples)


def offer_stems(samples: Sequence[Sample]) -> str:
    """The advice to group by file name, where no groups are known and most names stand in several classes; or ""."""
    if knows_groups(samples):
        return ""
    classes: dict[str, set[int]] = defaultdict(set)
    for sample in samples:
        if sample.label != UNLABELLED:
            classes[_stem(sample.path)].add(sample.label)
    per_class = Counter(label for labels in classes.values() for label in labels)
    paired = [stem for stem, labels in classes.items() if len(labels) > 1]
    if not paired or 2 * len(paired) < min(per_class.values()):
        return ""
    return (
        f"{len(paired)} file names stand in more than one class (such as {paired[0]!r:.60}): if they show the same scene, "
        'keep them together with data.groups = "stem" (--set data.groups=stem)'
    )
