"""Damaged recipes, values after ``--set``, and weights, all met by a dry run."""

import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from distill.recipe import load_recipe, shipped_recipes
from perf.attack.case import Case
from perf.attack.mutate import damage_bytes, damage_text

_VALUES = (
    "0", "-1", "1",
    "1e400", "nan", "inf", "true", "''", "[]", "{}", "[[]]", "9" * 5000, "'x'", "[1, 'a']", "{a = 1}", "1979-05-27",
    "[" * 2000, "'" + "x" * 10_000 + "'", "\x00", "1_000_000_000", "'../../x'", "[{name = 'kl'}]", "'\\u001b[31m'", "2", "0.5",
)  # fmt: skip


def recipes(rng: Random) -> Iterator[Case]:
    """Files of TOML with damaged lines or bytes."""
    texts = [path.read_text() for path in shipped_recipes().values()]
    while True:
        text = rng.choice(texts)
        damaged = (
            damage_text(text, rng).encode(errors="replace")
            if rng.random() < 0.8
            else damage_bytes(text.encode(), rng)
        )
        yield _recipe_case(damaged)


def overrides(rng: Random) -> Iterator[Case]:
    """Keys that there are, with values that should not be, and the other way round."""
    keys = list(_keys(load_recipe("demo").model_dump(mode="json")))
    while True:
        given = []
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(keys)
            if rng.random() < 0.2:
                key = damage_text(key, rng, most=1)
            given.append(f"{key}={rng.choice(_VALUES)}".replace("\x00", "\ufffd"))
        yield _set_case(given)


def weights(rng: Random) -> Iterator[Case]:
    """A teacher's weights as .safetensors and as .pt, damaged."""
    while True:
        suffix = rng.choice((".safetensors", ".pt"))
        yield _weights_case(suffix, damage_bytes(_whole(suffix), rng))


def _recipe_case(content: bytes) -> Case:
    def write(folder: Path) -> Sequence[str]:
        (folder / "a.toml").write_bytes(content)
        return ["run", str(folder / "a.toml"), "--dry-run", "--out", str(folder / "run")]

    return Case("recipe", 1, write)


def _set_case(given: Sequence[str]) -> Case:
    def write(folder: Path) -> Sequence[str]:
        options = [word for value in given for word in ("--set", value)]
        return ["run", "demo", "--dry-run", "--out", str(folder / "run"), *options]

    return Case("--set", 1, write)


def _weights_case(suffix: str, content: bytes) -> Case:
    def write(folder: Path) -> Sequence[str]:
        (folder / f"w{suffix}").write_bytes(content)
        options = ["--set", "teacher.name=resnet18", "--set", f"teacher.weights={folder / f'w{suffix}'}"]
        return ["run", "demo", "--dry-run", "--out", str(folder / "run"), *options]

    return Case("weights", 1, write)


@cache
def _whole(suffix: str) -> bytes:
    import torch
    from safetensors.torch import save

    state = {f"layer{number}.weight": torch.full((4, 4), float(number)) for number in range(8)}
    if suffix == ".safetensors":
        return bytes(save(state))
    buffer = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 3}, buffer)
    return buffer.getvalue()


def _keys(values: Any, *, prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _keys(value, prefix=f"{prefix}{name}.")
