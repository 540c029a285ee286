"""What to do about a check of the data that failed. Torch-free."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from distill.data.layouts.groups import offer_stems
from distill.data.samples import Sample

_ONE_WAY = "Save both classes in one way (format, size, JPEG quality), from originals that were never saved in another"
_ADVICE = {
    "metadata": f"{_ONE_WAY}.",
    "file_bytes": (
        "Save both classes in one way, or, where metadata and compression pass and one class shows less detail, accept it."
    ),
    "compression": "What JPEG left in the pixels stays, however they are saved now: go back to originals, or make both alike.",
    "flip_jpeg96": f"{_ONE_WAY}.",
    "flip_jpeg95_fakes": f"{_ONE_WAY}.",
    "flip_png": f"{_ONE_WAY}.",
    "duplicates_across_splits": "Remove the copies, or put both into one group, which no split divides.",
    "duplicates_across_classes": "Remove the copies, or mend the label of one: the same picture cannot be both.",
    "near_duplicates_across_splits": "Put what shows the same scene into one group, which no split divides.",
    "near_duplicates_across_classes": (
        "Mend the labels, or, where a generated image was made of the real one, put both into one group."
    ),
    "groups_across_splits": "Leave the splits to edgeproof (no column split, no split folders), or mend those that are stated.",
}
_GROUPS = ("duplicates_across_splits", "near_duplicates_across_splits", "near_duplicates_across_classes")
"""Checks that fail for want of groups."""
_BETWEEN = re.compile(r"(?<=\.) (?=[A-Z0-9])")


def advice(name: str, samples: Sequence[Sample]) -> str:
    """The next step after a failed check of ``samples``, in a sentence or two."""
    stems = offer_stems(samples) if name in _GROUPS else ""
    return f"{_ADVICE[name]} {stems[:1].upper()}{stems[1:]}{'.' * bool(stems)}".rstrip()


def together(advices: Iterable[str]) -> str:
    """Every distinct sentence of several advices, first what would mend most of what failed."""
    sentences = Counter(sentence for text in advices for sentence in _BETWEEN.split(text) if sentence)
    return " ".join(sentence for sentence, _ in sentences.most_common())


def accepting(names: Sequence[str]) -> str:
    """How to let checks pass that failed."""
    return f"--set 'gates.accept={json.dumps(list(names))}'"
