"""How many groups (scenes, identities, source videos) stand behind the intervals, and what follows where they are few."""

from collections.abc import Iterator

from bench.report.data import RunData
from distill.evaluation.statistics import MIN_GROUPS, MIN_GROUPS_OF_AN_INTERVAL
from distill.page.formats import count

_SPLITS = {"test": "the test split", "heldout": "held-out generators"}


def groups_of(run: RunData, split: str = "test") -> int | None:
    """Groups of a split; None where it was not judged, or not counted."""
    judged = (item.split(split) for item in run.entries)
    return next((found.groups for found in judged if found and found.groups is not None), None)


def groups_behind(run: RunData) -> str:
    """A sentence on the groups behind every interval; "" where nothing was judged."""
    known = [(name, groups_of(run, split)) for split, name in _SPLITS.items()]
    said = " and ".join(f"{counted(groups)} of {name}" for name, groups in known if groups is not None)
    return f"Intervals rest on {said}." if said else ""


def counted(groups: int) -> str:
    """``1 group (scene)``, ``1,000 groups (scenes)``."""
    return f"{count(groups)} group{'s' * (groups != 1)} (scene{'s' * (groups != 1)})"


def too_few_for_differences(run: RunData) -> bool:
    """Whether the test split has too few groups for a verdict on any difference."""
    groups = groups_of(run)
    return groups is not None and groups < MIN_GROUPS


def few_groups(run: RunData) -> Iterator[str]:
    """What a reader must know of splits with few groups, a sentence each."""
    for split, name in _SPLITS.items():
        groups = groups_of(run, split)
        if groups is None or groups >= MIN_GROUPS:
            continue
        said = f"Only {counted(groups)} stand behind {name}, fewer than {MIN_GROUPS}: no verdict on any difference"
        no_interval = (
            ", and no interval at all: one would take five" if groups < MIN_GROUPS_OF_AN_INTERVAL else ""
        )
        yield f"{said}{no_interval}. Test on images of more scenes."
