"""Recipes that ask for what cannot be, refused before anything costs time."""

import pytest

from distill.errors import EdgeproofError
from distill.recipe import parse_recipe

STUDENT = {"name": "small_cnn"}


@pytest.mark.parametrize(("section", "values", "words"), [
    ("data", {"path": "x", "valid_share": 1.0, "test_share": 0.0}, "data: .*images are left to train on"),
    ("data", {"path": "x", "valid_share": 0.6, "test_share": 0.4}, "data: .*images are left to train on"),
    ("training", {"seeds": [-1]}, r"training\.seeds\.0: given -1"),
    ("training", {"seeds": [2**32]}, r"training\.seeds\.0: given 4294967296"),
    ("students", {"a": {**STUDENT, "seeds": [-3]}}, r"students\.a\.seeds\.0: given -3"),
    ("bench", {"like_for_like_size": 10**6}, r"bench\.like_for_like_size: given 1000000"),
])  # fmt: skip
def test_what_cannot_be_is_refused(section: str, values: object, words: str) -> None:
    whole = {"name": "a", "data": {"path": "x"}, "students": {"a": STUDENT}}
    parse_recipe(whole, origin="own")
    with pytest.raises(EdgeproofError, match=f"^own: {words}"):
        parse_recipe({**whole, section: values}, origin="own")
