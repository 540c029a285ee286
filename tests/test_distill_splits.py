from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.samples import Dataset, Sample
from distill.data.splits import MANY, split_groups, with_splits
from distill.errors import EdgeproofError

SHARES = {"valid_share": 0.25, "test_share": 0.25}


def dataset(samples):
    return Dataset(root=Path("photos"), layout="class_folders", samples=tuple(samples))


def pairs(count, *, split="", start=0):
    """Scenes with a real and a generated image each."""
    return [
        Sample(path=f"{label}/{scene}.jpg", label=label, split=split, group=f"scene{scene}")
        for scene in range(start, start + count)
        for label in (0, 1)
    ]


def places(samples, *, seed=0, **shares):
    found = with_splits(dataset(samples), seed=seed, **{**SHARES, **shares})
    return {sample.path: sample.split for sample in found.samples}


@given(
    groups=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0, 1])), max_size=60),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_group_never_straddles(groups, seed):
    more = [
        Sample(path=f"more/{i}.jpg", label=label, group=f"g{group}")
        for i, (group, label) in enumerate(groups)
    ]
    found = with_splits(dataset(pairs(80) + more), seed=seed, **SHARES).samples
    splits = {}
    for sample in found:
        splits.setdefault(sample.group, set()).add(sample.split)
    assert all(len(where) == 1 for where in splits.values())
    assert set.union(*splits.values()) == {"train", "valid", "test"}


@given(extra=st.integers(1, 40), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_adding_images_to_many_moves_no_other(extra, seed):
    few, many = (places(pairs(count), seed=seed) for count in (MANY, MANY + extra))
    assert {path: many[path] for path in few} == few


@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=6),
    share=st.sampled_from([0.1, 0.15, 0.3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_every_class_and_generator_has_its_share(counts, share, seed):
    """Few scenes: chance alone once left a class with two of them, and another with none."""
    samples = [Sample(path=f"real/{i}", label=0, group=f"r{i}") for i in range(counts[0])]
    for number, count in enumerate(counts[1:]):
        samples += [
            Sample(path=f"{number}/{i}", label=1, generator=f"g{number}", group=f"{number}-{i}")
            for i in range(count)
        ]
    found = with_splits(dataset(samples), valid_share=share, test_share=share, seed=seed).samples
    for label in (0, 1):
        total = sum(sample.label == label for sample in found)
        for split in ("valid", "test"):
            wanted = max(1, int(share * total + 0.5))
            assert sum((s.label, s.split) == (label, split) for s in found) == wanted
    for number, count in enumerate(counts[1:]):
        tested = sum(s.generator == f"g{number}" and s.split != "train" for s in found)
        assert abs(tested - 2 * share * count) <= 3


def test_few_groups_are_warned_of_by_split_and_number():
    found = with_splits(dataset(pairs(16)), seed=0, valid_share=0.15, test_share=0.15, min_groups=20)
    assert [problem.split(",")[0] for problem in found.problems] == [
        "split 'valid' has 2 groups (scenes", "split 'test' has 2 groups (scenes",
    ]  # fmt: skip
    assert "fewer than 20 (data.min_groups)" in found.problems[0]
    assert not with_splits(dataset(pairs(16)), seed=0, **SHARES, min_groups=4).problems
    assert split_groups(found.samples) == {"train": 12, "valid": 2, "test": 2}


def test_the_order_of_the_files_does_not_matter():
    assert places(pairs(80)) == places(list(reversed(pairs(80))))


def test_the_seed_decides():
    assert places(pairs(80)) == places(pairs(80))
    assert places(pairs(80)) != places(pairs(80), seed=1)


def test_places_are_pinned():
    """Another hash would silently move images between splits of existing data."""
    found = places(pairs(MANY))
    assert [found[f"0/{scene}.jpg"] for scene in range(8)] == [
        "test",
        "train",
        "valid",
        "train",
        "train",
        "train",
        "train",
        "test",
    ]


def test_shares_are_kept_roughly():
    counts = Counter(places(pairs(2000), valid_share=0.1, test_share=0.3).values())
    assert counts["valid"] == pytest.approx(400, rel=0.15)
    assert counts["test"] == pytest.approx(1200, rel=0.1)


def test_samples_without_a_group_are_their_own():
    alone = [Sample(path=f"{i}.jpg", label=i % 2) for i in range(200)]
    assert len(set(places(alone).values())) == 3


def test_stated_splits_stay_and_only_valid_is_cut():
    stated = pairs(80, split="train") + pairs(20, split="test", start=80)
    found = places(stated)
    assert {found[sample.path] for sample in stated if sample.split == "test"} == {"test"}
    assert {found[sample.path] for sample in stated if sample.split == "train"} == {"train", "valid"}


def test_nothing_is_cut_where_all_is_stated():
    stated = pairs(4, split="train") + pairs(4, split="valid", start=4) + pairs(4, split="test", start=8)
    stated += pairs(2, split="heldout", start=12) + pairs(2, split="control", start=14)
    assert places(stated) == {sample.path: sample.split for sample in stated}


def test_unlabelled_images_stay_where_they_are_and_count_for_no_class():
    unlabelled = [
        Sample(path=f"u/{i}.jpg", label=-1, split=split, group=f"scene{i}")
        for i, split in enumerate(["unlabelled"] * 20 + [""] * 20 + ["train"] * 20)
    ]
    found = places(pairs(80) + unlabelled)
    assert {sample.path: found[sample.path] for sample in unlabelled} == {
        sample.path: sample.split for sample in unlabelled
    }
    assert {path: found[path] for path in places(pairs(80))} == places(pairs(80))
    alone = [Sample(path=f"u/{i}.jpg", label=-1, split="valid") for i in range(9)]
    with pytest.raises(EdgeproofError, match="split 'valid' has 0 real and 0 fake images"):
        places(pairs(40) + alone)


def test_all_but_the_split_is_kept():
    given = [
        Sample(path=f"a.tar/{i}.jpg", label=i % 2, generator="g", box=(0, 0, 1, 1), span=(i, 9))
        for i in range(90)
    ]
    found = with_splits(dataset(given), seed=0, **SHARES).samples
    assert [replace(sample, split="") for sample in found] == given


@pytest.mark.parametrize(
    ("samples", "shares", "message"),
    [
        (
            pairs(40),
            {"test_share": 0.0},
            "photos: split 'test' has 0 real and 0 fake images, expected both classes",
        ),
        (pairs(40), {"valid_share": 0.6, "test_share": 0.4}, "split 'train' has 0 real and 0 fake images"),
        ([s for s in pairs(40) if s.label], {}, "split 'train' has 0 real and .* fake images"),
        (pairs(1), {}, "expected both classes; add images or change data.valid_share / data.test_share"),
    ],
)
def test_a_split_without_a_class_is_refused(samples, shares, message):
    with pytest.raises(EdgeproofError, match=message):
        places(samples, **shares)
