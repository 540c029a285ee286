"""Images that a resize makes much smaller are warned of before anything starts."""

import numpy as np
import pytest
from PIL import Image

from distill.cli.outlook import listed, warnings_about
from distill.data.layouts import load_dataset
from distill.data.transforms.shrinking import enlarge_warning, shrink_warning, some_sizes
from distill.preprocess import PreprocessSpec
from distill.recipe import load_recipe

SPEC = PreprocessSpec(size=32)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([(64, 64)] * 20, None),
        ([(65, 20)] * 20, "100% of the images are shrunk more than twofold"),
        ([(40, 40)] * 19 + [(4000, 3000)], None),
        ([(40, 40)] * 18 + [(4000, 3000)] * 2, "10% of the images are shrunk"),
        ([(320, 640)] * 3, "the middle one 20.0 times, to 32x32"),
        ([], None),
    ],
)
def test_more_than_twofold_and_more_than_a_few(sizes, said):
    found = shrink_warning(sizes, SPEC, key="preprocess")
    assert found is None if said is None else said in found and "preprocess.policy = 'center_crop'" in found


@pytest.mark.parametrize("policy", ["center_crop", "tiles"])
def test_what_keeps_pixels_shrinks_nothing(policy):
    assert shrink_warning([(4000, 3000)], PreprocessSpec(size=32, policy=policy), key="preprocess") is None


@pytest.mark.parametrize(
    ("size", "policy", "said"),
    [
        ((32, 900), "center_crop", None),
        ((24, 900), "center_crop", "100% of the images are smaller than 32x32 and are enlarged (the middle one 1.3 times)"),
        ((24, 900), "resize", None),
        ((16, 8), "resize", "2.0 times), which costs time"),
    ],
)  # fmt: skip
def test_images_that_are_enlarged_are_told_of(size, policy, said):
    found = enlarge_warning([size] * 9, PreprocessSpec(size=32, policy=policy), key="teacher.preprocess")
    assert found is None if said is None else said in found and "expected teacher.preprocess.size = " in found
    assert enlarge_warning([(99, 99)] * 99 + [size], PreprocessSpec(size=32), key="preprocess") is None


@pytest.fixture
def photos(tmp_path):
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for index in range(3):
            pixels = np.full((90, 120, 3), 40 * index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{index}.jpg")
    return tmp_path


def test_sizes_are_read_from_headers_and_bad_files_are_left_out(photos):
    (photos / "real" / "bad.jpg").write_bytes(b"no picture")
    dataset = load_dataset(photos)
    assert some_sizes(dataset) == [(120, 90)] * 6
    assert len(some_sizes(dataset, at_most=3)) == 2, "of the first, the middle and the last, which is bad"


def test_a_recipe_is_warned_of_for_each_way_of_seeing(photos):
    squeezed = load_recipe("cifake", overrides=[f"data.path={photos}"])
    [warning] = warnings_about(squeezed, listed(squeezed))
    assert "3.8 times, to 32x32" in warning and "expected preprocess.policy" in warning
    small = ["preprocess.size=90", "teacher.preprocess.size=90"]
    whole = load_recipe("own", overrides=[f"data.path={photos}", *small])
    assert warnings_about(whole, listed(whole)) == []
    teacher = load_recipe(
        "own", overrides=[f"data.path={photos}", small[0], "teacher.preprocess={size=32, policy='resize'}"]
    )
    [warning] = warnings_about(teacher, listed(teacher))
    assert "expected teacher.preprocess.policy" in warning
    large = load_recipe("own", overrides=[f"data.path={photos}"])
    assert [("preprocess.size = 90" in warning) for warning in warnings_about(large, listed(large))] == [True]
