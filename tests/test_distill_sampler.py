import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import EdgeproofError
from distill.training import sampler
from distill.training.sampler import EpochBatches, PlainBatches


def epoch(*, number=0, **options):
    batches = EpochBatches(**{"length": 50, "batch_size": 8, "views": 2, "seed": 0, **options})
    batches.set_epoch(number)
    found = list(batches)
    assert len(found) == len(batches)
    return found


def indices(batches):
    return [index for batch in batches for index, _, _ in batch]


def shared_out(monkeypatch, processes, **options):
    """What each of the processes gets."""
    found = []
    for rank in range(processes):
        monkeypatch.setattr(sampler, "rank_and_processes", lambda rank=rank: (rank, processes))
        found.append(epoch(**options))
    return found


@given(
    seed=st.integers(0, 1000), number=st.integers(0, 100), length=st.integers(1, 60), batch=st.integers(1, 20),
    shards=st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_every_sample_once_in_even_batches(seed, number, length, batch, shards):
    options = {
        "seed": seed, "number": number, "length": length, "batch_size": batch,
        "shards": [i // 7 for i in range(length)] if shards else (),
    }  # fmt: skip
    found = epoch(**options)
    assert sorted(indices(found)) == list(range(length))
    sizes = [len(keys) for keys in found]
    assert max(sizes) <= batch and max(sizes) - min(sizes) <= 1
    assert found == epoch(**options)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("length", [7, 16, 33, 100])
@pytest.mark.parametrize("shards", [False, True])
def test_processes_share_an_epoch_without_overlap(monkeypatch, processes, length, shards):
    parts = shared_out(
        monkeypatch,
        processes,
        length=length,
        batch_size=4,
        shards=[i % 5 for i in range(length)] if shards else (),
    )
    assert sorted(index for part in parts for index in indices(part)) == list(range(length))
    assert len({len(part) for part in parts}) == 1, "unequal numbers of steps hang distributed training"


def test_fewer_samples_than_processes_is_an_error(monkeypatch):
    with pytest.raises(EdgeproofError, match="1 training images for 2 processes"):
        shared_out(monkeypatch, 2, length=1)


def test_tars_are_read_a_few_at_a_time_and_by_one_process(monkeypatch):
    shards = np.repeat(np.arange(40), 100)
    parts = shared_out(monkeypatch, 2, length=4000, shards=shards.tolist())
    read = [shards[indices(part)] for part in parts]
    assert len(set(read[0]) & set(read[1])) <= 8, "only the window on the border is shared"
    for window in np.split(read[0][:1600], 2):
        assert len(set(window)) <= 8
    assert len(set(read[0][:100])) > 4, "and yet they are mixed"


@given(
    labelled=st.lists(st.booleans(), min_size=1, max_size=80), batch=st.integers(1, 20), number=st.integers(0, 9),
    longer=st.integers(0, 50), shards=st.booleans(),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_every_batch_holds_the_share_of_labels(labelled, batch, number, longer, shards):
    options = {
        "length": len(labelled), "total": len(labelled) + longer, "batch_size": batch, "number": number,
        "shards": [i // 7 for i in range(len(labelled))] if shards else (),
    }  # fmt: skip
    labels = np.array(labelled) * 2.0 - 1
    found = epoch(**options, labels=labels)
    counts = np.bincount(indices(found), minlength=len(labelled))
    if longer == 0:
        assert (counts == 1).all()
    share = counts[np.array(labelled)].sum() / counts.sum()
    for keys in found:
        assert abs(sum(labelled[index] for index, _, _ in keys) - share * len(keys)) < 1
    assert found == epoch(**options, labels=labels)


def test_without_unlabelled_images_the_order_is_what_it_was():
    assert epoch(labels=[0, 1] * 25) == epoch() == epoch(labels=[-1] * 50)


def test_tars_with_and_without_labels_are_read_a_few_at_a_time():
    shards, labels = np.repeat(np.arange(40), 100), np.repeat([1, -1], [1000, 3000])
    read = shards[indices(epoch(length=4000, shards=shards.tolist(), labels=labels))]
    assert all(len(set(read[start : start + 200])) <= 2 * 8 + 2 for start in range(0, 4000, 200))


@given(
    labels=st.lists(st.sampled_from([-1, 0, 0, 0, 0, 1]), min_size=1, max_size=80), batch=st.integers(1, 20),
    number=st.integers(0, 9), shards=st.booleans(),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_balanced_epochs_show_both_classes_equally_often(labels, batch, number, shards):
    options = {
        "length": len(labels), "batch_size": batch, "number": number, "labels": labels,
        "shards": [i // 7 for i in range(len(labels))] if shards else (), "balanced": True,
    }  # fmt: skip
    found = epoch(**options)
    shown = [[labels[index] for index, _, _ in keys] for keys in found]
    counts = np.bincount(indices(found), minlength=len(labels))
    assert counts.sum() == len(labels), "the epoch is as long as before"
    of = {label: counts[[i for i, one in enumerate(labels) if one == label]] for label in (-1, 0, 1)}
    assert (of[-1] == 1).all()
    if len(of[0]) and len(of[1]):
        assert 0 <= of[0].sum() - of[1].sum() <= 1
        for keys in shown:
            assert abs(keys.count(0) - keys.count(1)) <= 2
    for repeated in (of[0], of[1]):
        assert not len(repeated) or repeated.max() - repeated.min() <= 1, "repeated evenly"
    assert found == epoch(**options)


def test_balanced_epochs_show_other_parts_of_the_larger_class():
    labels = [0] * 40 + [1] * 10
    first, second = ({*indices(epoch(labels=labels, balanced=True, number=n))} for n in (0, 1))
    assert {i for i in first if i >= 40} == {i for i in second if i >= 40} == {*range(40, 50)}
    assert len({i for i in first if i < 40}) == 25 and first != second


def test_epochs_and_seeds_differ_in_order_views_and_draws():
    first = epoch()
    for other in (epoch(number=1), epoch(seed=1)):
        assert indices(first) != indices(other)
        assert sorted(k for b in first for k in b) != sorted(k for b in other for k in b)


def test_both_views_are_drawn_evenly():
    views = [view for batch in epoch(length=4000) for _, view, _ in batch]
    assert np.mean(views) == pytest.approx(0.5, abs=0.03)


def test_a_longer_epoch_repeats_samples_evenly():
    counts = np.bincount(indices(epoch(length=10, total=25)), minlength=10)
    assert counts.sum() == 25 and set(counts) == {2, 3}


def test_plain_batches_in_order_shared_out_in_stretches(monkeypatch):
    assert list(PlainBatches(length=5, batch_size=2, view=1)) == [
        [(0, 1, 0), (1, 1, 0)], [(2, 1, 0), (3, 1, 0)], [(4, 1, 0)],
    ]  # fmt: skip
    monkeypatch.setattr(sampler, "rank_and_processes", lambda: (1, 2))
    second = PlainBatches(length=5, batch_size=2, view=0)
    assert len(second) == 2 and list(second) == [[(2, 0, 0), (3, 0, 0)], [(4, 0, 0)]]
