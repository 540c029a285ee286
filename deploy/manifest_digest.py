"""The digest that a manifest carries of itself, so that no field of it changes unseen. Torch-free.

It is the last member of the JSON object: the SHA-256 of everything before it, without the space between values. So a file
that another program laid out anew still fits, and a program in C finds the digest without writing JSON itself.
A digest is no signature: who changes a manifest on purpose can write a new digest too.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

KEY = "digest"
_SPACE = re.compile(rb'("(?:[^"\\]+|\\.)*")|[ \t\n\r]+')
_END = re.compile(rb'"digest":"([0-9a-f]{64})"\}\Z')


def with_digest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields`` and, behind them, their digest as ``json.dumps`` with ``ensure_ascii=False`` writes them."""
    body = {name: value for name, value in fields.items() if name != KEY}
    text = json.dumps({**body, KEY: "0" * 64}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    content = text.encode(errors="backslashreplace")
    return {**body, KEY: _hash(content[: _END.search(content).start()])}  # type: ignore[union-attr]


def found_digest(content: bytes) -> str | None:
    """The digest that the last member of a JSON object names; None if that is none."""
    found = _END.search(_compact(content))
    return found[1].decode() if found else None


def true_digest(content: bytes) -> str:
    """The digest of a JSON object whose last member is one.

    Raises:
        ValueError: it is not.
    """
    compact = _compact(content)
    found = _END.search(compact)
    if found is None:
        raise ValueError(f"no {KEY} at its end")
    return _hash(compact[: found.start()])


def _compact(content: bytes) -> bytes:
    """JSON without the space between its values."""
    return _SPACE.sub(rb"\1", content)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
