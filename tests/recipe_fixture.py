"""What is said of a recipe that does not load."""

import pytest

from distill.errors import EdgeproofError
from distill.recipe import load_recipe


def failure(*arguments, **options):
    with pytest.raises(EdgeproofError) as caught:
        load_recipe(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
