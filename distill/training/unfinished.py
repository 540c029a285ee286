"""The files of a training that is not finished, and what it must have been asked for to be gone on with."""

import hashlib
from pathlib import Path
from typing import Any

from torch import nn

from distill.files import write_text
from distill.training.history import EPOCHS as EPOCHS

RESUME = "resume.safetensors"
_KEY = "resume.key"


def hash_of(parts: list[Any]) -> str:
    """SHA-256 of what the parts look like."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def options_of(objective: nn.Module) -> dict[str, Any]:
    """An objective's own plain values, such as its weight and temperature."""
    plain = (bool, int, float, str, tuple)
    values = {
        name: value
        for name, value in vars(objective).items()
        if isinstance(value, plain) and not name.startswith("_") and name != "training"
    }
    return values | {name: buffer.tolist() for name, buffer in objective.named_buffers() if not buffer.ndim}


def forget_other(folder: Path, *, key: str) -> None:
    """Delete the state of an unfinished training of something else, and note what this one is."""
    known = folder / _KEY
    if known.is_file() and known.read_text(encoding="utf-8") != key:
        for name in (RESUME, EPOCHS):
            (folder / name).unlink(missing_ok=True)
    write_text(known, key)


def forget(folder: Path) -> None:
    """Delete everything of an unfinished training: it is finished."""
    for name in (RESUME, EPOCHS, _KEY):
        (folder / name).unlink(missing_ok=True)
