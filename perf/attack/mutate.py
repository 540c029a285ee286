"""Seeded damage: to bytes, to JSON values, to lines of text."""

import json
from random import Random
from typing import Any

_WORDS = ("null", "NaN", "-1", "0", '""', "[]", "{}", "1e400", "9" * 5000, "\\ud800", "../x", "\x00", "true")
_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63), 1e308, 5e-324, 0.5, 10**30)


def damage_bytes(data: bytes, rng: Random, *, most: int = 8) -> bytes:
    """Change, insert, remove, repeat or cut a few places; near the beginning more often, where headers are."""
    found = bytearray(data)
    for _ in range(rng.randint(1, most)):
        if not found:
            break
        early = rng.random() < 0.5
        place = rng.randrange(min(len(found), 512) if early else len(found))
        kind = rng.randrange(8)
        if kind == 0:
            found[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            found[place : place + 4] = rng.choice(
                (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", rng.randbytes(4))
            )
        elif kind == 3:
            found[place:place] = rng.randbytes(rng.randint(1, 16))
        elif kind == 4:
            del found[place : place + rng.randint(1, 64)]
        elif kind == 5:
            length = rng.randint(1, 256)
            found[place:place] = found[place : place + length]
        elif kind == 6 and rng.random() < 0.3:
            del found[place:]
        else:
            source = rng.randrange(len(found))
            found[place : place + 16] = found[source : source + 16]
    return bytes(found)


def damage_json(value: Any, rng: Random, *, most: int = 3) -> Any:
    """Another JSON value: members gone, added, of other types, extreme, deep."""
    found = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, most)):
        holders = list(_holders(found))
        if not holders:
            return _odd(rng)
        holder = rng.choice(holders)
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        kind = rng.randrange(6)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[rng.choice(("x", "", "schema_version", "__class__", "\ud800", key + " "))] = _odd(rng)
        elif kind == 2:
            holder[key] = rng.choice(holders)  # possibly of itself: copied below
            found = _copied(found)
        else:
            holder[key] = _near(holder[key], rng) if rng.random() < 0.5 else _odd(rng)
    return found


def damage_text(text: str, rng: Random, *, most: int = 4) -> str:
    """Lines gone, repeated, exchanged, and words put in their middle."""
    lines = text.splitlines(keepends=True) or [""]
    for _ in range(rng.randint(1, most)):
        place = rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0 and len(lines) > 1:
            del lines[place]
        elif kind == 1:
            lines.insert(place, rng.choice(lines))
        elif kind == 2:
            other = rng.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        else:
            line = lines[place]
            start = rng.randint(0, len(line))
            end = min(len(line), start + rng.randint(0, 12))
            lines[place] = (
                line[:start] + rng.choice((*_WORDS, "", "=", ",", '"', "\n", "[[", "'")) + line[end:]
            )
    return "".join(lines)


def _holders(value: Any) -> Any:
    if isinstance(value, (dict, list)) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


def _copied(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value))
    except ValueError:  # it holds itself
        return {"x": 1}


def _odd(rng: Random) -> Any:
    deep: Any = 1
    for _ in range(rng.choice((2, 50, 500))):
        deep = [deep]
    return rng.choice((
        None, True, "",
        "x" * rng.choice((1, 200, 100_000)), [], {}, [None], {"": None}, deep, *_NUMBERS, "NaN", "../../etc/passwd",
        "a\nb\x1b[31m", "\ud800",
    ))  # fmt: skip


def _near(value: Any, rng: Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return rng.choice(
            (value + 1, value - 1, -value, value * 2, value / 2, str(value), [value], value + 0.5)
        )
    if isinstance(value, str):
        return rng.choice(
            (value + "x", value[:-1], value.upper(), value * 2, [value], value + "\n", " " + value)
        )
    return [value] if isinstance(value, dict) else {"x": value}
