"""From a key of a tar to its sample: label, split, generator, group and box, as ``.cls`` and ``.json`` tell them."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from distill.data.layouts.table_samples import label_value, split_value
from distill.data.layouts.tar_index import Entry
from distill.data.layouts.vocabulary import CLASSES, SPLITS, UNNAMED
from distill.data.layouts.walk import is_text, one_line
from distill.data.samples import GENERATED, REAL, Box, Sample
from distill.errors import EdgeproofError


class KeyReader:
    """What the keys of one tar mean; boxes that are none are left out and noted in ``bad_boxes``."""

    def __init__(self, base: Path, name: str, bad_boxes: list[str]) -> None:
        self._base, self._name, self._bad_boxes = base, name, bad_boxes
        self._split = _split_of_shard(name)

    def sample(self, key: str, entry: Entry) -> Sample:
        """The sample of a key.

        Raises:
            ValueError: why there is none.
            EdgeproofError: a label or a split that is unknown, or two labels that disagree.
        """
        if not entry.image:
            raise ValueError("a label without an image")
        if entry.twice:
            raise ValueError(f"several {entry.twice} under the key {key!r} (a key ends at the first dot)")
        facts = _facts(entry)
        label = self._label(key, entry, facts)
        path = f"{self._name}/{entry.image}"
        generator = _word(facts, "generator") or UNNAMED
        return Sample(
            path=path,
            label=label,
            split=self._known_split(key, _word(facts, "split")),
            generator=sys.intern(generator) if label == GENERATED else "",
            group=sys.intern(_word(facts, "group")) or path,
            box=self._box(path, facts.get("box")),
            span=entry.span,
        )

    def _label(self, key: str, entry: Entry, facts: dict[str, Any]) -> int:
        stated = [] if entry.cls is None else [entry.cls.decode(errors="replace").strip()]
        if facts.get("label") is not None:
            stated.append(_as_text(facts["label"]))
        if not stated:
            raise ValueError("an image without a label, expected a .cls, or a .json with label")
        labels = {label_value(text) for text in stated}
        unknown = [text for text in stated if label_value(text) is None]
        if unknown or len(labels) > 1:
            found = f"label {unknown[0][:80]!r}" if unknown else f"labels {' and '.join(map(repr, stated))}"
            raise EdgeproofError(
                f"{one_line(self._base / self._name)}: key {key!r} has the {found}, expected one of "
                f"{', '.join(CLASSES)}, 0 (real) or 1 (generated)"
            )
        return GENERATED if GENERATED in labels else REAL

    def _known_split(self, key: str, word: str) -> str:
        split = split_value(word)
        if split is None:
            raise EdgeproofError(
                f"{one_line(self._base / self._name)}: key {key!r} has the split {word[:80]!r}, expected one of "
                f"{', '.join(SPLITS)}, or none"
            )
        return split or self._split

    def _box(self, path: str, value: Any) -> Box | None:
        if value is None:
            return None
        if (
            isinstance(value, list)
            and len(value) == 4
            and all(isinstance(side, (int, float)) for side in value)
        ):
            x1, y1, x2, y2 = value
            if 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1:
                return (float(x1), float(y1), float(x2), float(y2))
        self._bad_boxes.append(path)
        return None


def _facts(entry: Entry) -> dict[str, Any]:
    if entry.json is None:
        return {}
    try:
        facts = json.loads(entry.json)
    except (ValueError, RecursionError):
        raise ValueError("its .json is no whole JSON document") from None
    if not isinstance(facts, dict):
        raise ValueError(f"its .json is a {type(facts).__name__}, expected an object")
    return facts


def _word(facts: dict[str, Any], name: str) -> str:
    value = facts.get(name)
    if isinstance(value, (list, dict)):
        raise ValueError(f"{name} in its .json is a {type(value).__name__}, expected text")
    word = "" if value is None else _as_text(value).strip()
    if not is_text(word):
        raise ValueError(f"{name} in its .json is not valid UTF-8")
    return word


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split_of_shard(name: str) -> str:
    """The split that the shard's name opens with, or else the nearest folder that is called so."""
    *folders, base = name.split("/")
    words = [re.split("[^a-zA-Z]", base.removesuffix(".tar"), maxsplit=1)[0], *reversed(folders)]
    return next(filter(None, map(split_value, words)), "")
