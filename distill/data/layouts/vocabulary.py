"""The words that data sets use for classes and splits, and their one meaning here: generated = 1. Torch-free."""

from collections.abc import Container

from distill.data.samples import GENERATED, REAL
from distill.preprocess import SUFFIXES as SUFFIXES

CLASSES = {
    "real": REAL, "0_real": REAL, "nature": REAL, "reals": REAL, "original": REAL,
    "fake": GENERATED, "1_fake": GENERATED, "ai": GENERATED, "fakes": GENERATED, "generated": GENERATED,
}  # fmt: skip
SPLITS = {
    "train": "train", "training": "train",
    "valid": "valid", "val": "valid", "validation": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
UNNAMED = "generated"
"""The generator's name where a layout tells none."""


def label_of(word: str, *, among: Container[str] = CLASSES) -> int | None:
    """1 or 0 for a word that names a class, in any case; ``None`` for any other, or one that is not ``among``."""
    key = word.strip().lower()
    return CLASSES.get(key) if key in among else None


def split_of(word: str) -> str | None:
    """``train``, ``valid`` or ``test`` for a word that names a split, in any case; ``None`` for any other."""
    return SPLITS.get(word.strip().lower())
