import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.training.views import Views, views_of

GAMMA, WORD = 0x9E3779B97F4A7C15, 2**64
seeds = st.integers(0, 2**63)


def splitmix64(state):
    """Steele et al. 2014 (doi 10.1145/2714064.2660195), as its authors' C code has it, in whole numbers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % WORD
    return state ^ (state >> 31)


def draw(views, index, number):
    return int(views.draws(np.array([index]), np.array([number]))[0])


@given(index=st.integers(0, 10**9), number=st.integers(0, 7), seed=seeds)
def test_a_draw_is_the_hash_of_seed_image_and_view(index, number, seed):
    expected = splitmix64((index * 8 + number + seed * GAMMA) % WORD) % 2**31
    assert draw(Views(count=8, seed=seed, fixed=True), index, number) == expected


def test_the_hash_is_the_published_one():
    """The first numbers of splitmix64 from the state 1234567."""
    found = [splitmix64((1234567 + step * GAMMA) % WORD) for step in (1, 2, 3)]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(seed=seeds)
def test_draws_are_seeds_of_a_generator(seed):
    indices, numbers = np.arange(50), np.arange(50) % 4
    found = Views(count=4, seed=seed, fixed=True).draws(indices, numbers)
    assert found.dtype == np.int64 and found.shape == (50,)
    assert found.min() >= 0 and found.max() < 2**31


def test_every_image_view_and_seed_has_a_draw_of_its_own():
    indices, numbers = (grid.ravel() for grid in np.meshgrid(np.arange(1000), np.arange(8)))
    found = [Views(count=8, seed=seed, fixed=True).draws(indices, numbers) for seed in range(3)]
    assert len(np.unique(np.concatenate(found))) > 24000 - 5  # of 2^31, so hardly two are alike


def test_a_draw_does_not_depend_on_what_else_is_in_the_batch():
    views = Views(count=4, seed=3, fixed=True)
    together = views.draws(np.array([7, 0, 7]), np.array([1, 3, 2]))
    assert together.tolist() == [draw(views, 7, 1), draw(views, 0, 3), draw(views, 7, 2)]


def test_every_second_view_is_mirrored():
    numbers = np.arange(5)
    assert Views(count=5, flips=True).mirrored(numbers).tolist() == [False, True, False, True, False]
    assert not Views(count=5).mirrored(numbers).any()


@pytest.mark.parametrize(
    ("flips", "augmented", "cached", "views"),
    [
        (False, False, False, Views()),
        (True, False, False, Views(count=2, flips=True)),
        (True, False, True, Views(count=2, flips=True)),
        (True, True, False, Views(count=2, flips=True)),
        (True, True, True, Views(count=6, flips=True, seed=9, fixed=True)),
        (False, True, True, Views(count=6, seed=9, fixed=True)),
    ],
)
def test_views_are_fixed_where_an_augmentation_meets_a_cache(flips, augmented, cached, views):
    assert views_of(flips=flips, augmented=augmented, cached=cached, count=6, seed=9) == views
