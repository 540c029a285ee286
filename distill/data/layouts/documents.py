"""The JSON and text files that say what a data set holds; what is wrong with one is said in one line."""

import json
from pathlib import Path
from typing import Any

from distill.data.layouts.walk import one_line
from distill.errors import EdgeproofError, cause


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark.

    Raises:
        EdgeproofError: missing, unreadable or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EdgeproofError(f"{one_line(path)}: cannot be read ({cause(error)})") from None
    except UnicodeDecodeError as error:
        raise EdgeproofError(
            f"{one_line(path)}: byte {error.start} is not valid UTF-8, expected a text file in UTF-8"
        ) from None


def read_head(path: Path, *, size: int) -> str:
    """The first ``size`` bytes, to recognise a file by; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def read_json(path: Path) -> Any:
    """One JSON document.

    Raises:
        EdgeproofError: unreadable, cut short, or an object that names one key twice.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise EdgeproofError(f"{one_line(path)}: no whole JSON document ({error})") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return found
