"""What a schedule asks for happens, and a training that was killed ends with the same weights."""

import copy
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from training_fixture import (
    PAIR,
    SCHEDULE,
    SETTINGS,
    MeanTeacher,
    TinyNet,
    network,
    same,
    train,
    training_data,
)

from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.methods.logit_mse import LogitMSE
from distill.methods.objective import Objective
from distill.recipe import Schedule
from distill.training.average import Average
from distill.training.history import History
from distill.training.optimizer import make_optimizer, rate

EVERYTHING = {
    "optimizer": "sgd", "schedule": "one_cycle", "warmup": 0.3, "accumulate": 2, "clip": 0.5, "ema": 0.9, "patience": 5,
    "frozen_epochs": 1, "mixup": 0.4, "learning_rate": 0.05,
}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return training_data()


# learning rate and optimizer


def test_one_cycle_by_hand():
    schedule = Schedule(schedule="one_cycle", warmup=0.2)
    rates = [rate(step, total=100, schedule=schedule) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25) and rates[20] == 1.0 and rates[100] == pytest.approx(1 / 25e4)
    assert rates[10] == pytest.approx((1 + 1 / 25) / 2)  # half-way up a cosine
    assert rates[60] == pytest.approx((1 + 1 / 25e4) / 2)
    assert rates.index(max(rates)) == 20


def test_cosine_without_warmup_starts_at_the_top():
    rates = [rate(step, total=50, schedule=Schedule(warmup=0.0)) for step in range(51)]
    assert rates[:2] == [1.0, 1.0] and rates[50] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("total", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", ["cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.99])
def test_rates_of_short_trainings_are_shares(total, kind, warmup):
    schedule = Schedule(schedule=kind, warmup=warmup)
    assert all(0 <= rate(step, total=total, schedule=schedule) <= 1 for step in range(total + 1))


def test_sgd_with_momentum_spares_norms_and_biases():
    schedule = Schedule(optimizer="sgd", weight_decay=0.3, learning_rate=0.5)
    optimizer = make_optimizer(TinyNet().parameters(), schedule=schedule)
    decayed, plain = optimizer.param_groups
    assert isinstance(optimizer, torch.optim.SGD)
    assert (decayed["momentum"], decayed["nesterov"], decayed["lr"]) == (0.9, True, 0.5)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in plain["params"]} == {1} and len(decayed["params"]) == 2


def test_accumulated_batches_make_one_step(data, tmp_path):
    told = []
    train(tmp_path, data, epochs=1, accumulate=2, progress=lambda *step: told.append(step))
    assert told == [(0, 2), (1, 2), (1, 2), (2, 2)]


def test_two_accumulated_batches_are_one_of_twice_the_size(tmp_path):
    class Still(nn.Module):  # BatchNorm alone would see the difference
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 1)

        def forward(self, images):
            from students.output import ModelOutput

            return ModelOutput(logits=self.head(images.mean((2, 3))).squeeze(1), features={})

    data, start = training_data(), Still()
    for name, options in (("two", {"batch_size": 8, "accumulate": 2}), ("one", {"batch_size": 16})):
        train(tmp_path / name, data, model=copy.deepcopy(start), epochs=1, optimizer="sgd", **options)
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    torch.testing.assert_close(one["head.weight"], two["head.weight"])


def test_gradients_are_clipped(tmp_path):
    """SGD's first step is no longer than the learning rate times the largest norm (1.9 of it by Nesterov)."""
    start = network()
    data = training_data()
    train(
        tmp_path, data, model=copy.deepcopy(start), epochs=1, batch_size=32, clip=0.01, optimizer="sgd",
        weight_decay=0.0, warmup=0.0,
    )  # fmt: skip
    saved = load_file(tmp_path / "last.safetensors")
    moved = sum((saved[name] - value.detach()).square().sum() for name, value in start.named_parameters())
    assert 0 < math.sqrt(moved) <= SCHEDULE.learning_rate * 0.01 * 1.9 * 1.001


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_gradients_are_clipped_in_bf16_too(data, tmp_path, optimizer):
    """Lightning does not clip for fused optimizers under autocast."""
    settings = SETTINGS.model_copy(update={"precision": "bf16"})
    for clip in (0.0, 1e-3):
        train(tmp_path / str(clip), data, epochs=1, clip=clip, optimizer=optimizer, settings=settings)
    assert not same(*(tmp_path / str(clip) / "last.safetensors" for clip in (0.0, 1e-3)))


# the average


def test_the_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = Average(model, decay=0.2)
    model.weight.data.fill_(1.0)
    average.update(model, step=0)  # keeps min(0.2, 1/10)
    assert average.module.weight.item() == pytest.approx(0.9)
    model.weight.data.fill_(2.0)
    average.update(model, step=20)  # keeps min(0.2, 21/30)
    assert average.module.weight.item() == pytest.approx(0.2 * 0.9 + 0.8 * 2.0)
    assert not average.module.weight.requires_grad


def test_the_average_takes_batch_norms_statistics_along():
    norm = nn.BatchNorm2d(1)
    average = Average(norm, decay=0.5)
    norm.running_mean.fill_(4.0)
    norm.num_batches_tracked.fill_(7)
    average.update(norm, step=100)
    assert average.module.running_mean.item() == 2.0
    assert average.module.num_batches_tracked.item() == 7


def test_the_average_is_validated_and_saved(data, tmp_path):
    """Under a decay of nearly one and after one step it is nearly what the training began with, and learns nothing."""
    start, plain = network(), network()
    train(tmp_path / "plain", data, model=plain, epochs=1, batch_size=32)
    model = copy.deepcopy(start)
    history = train(tmp_path / "ema", data, model=model, epochs=1, batch_size=32, ema=0.9)
    weight = start.head.weight + 0.9 * (
        plain.head.weight - start.head.weight
    )  # keeps a tenth at the first step
    for name in ("weights", "last"):
        saved = load_file(tmp_path / "ema" / f"{name}.safetensors")
        torch.testing.assert_close(saved["head.weight"], weight.detach())
        assert set(saved) == set(start.state_dict())
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        from distill.training.normalize import normalize

        batch = data.valid[[(i, 0, 0) for i in range(16)]]
        logits = model(normalize(batch.images, spec=data.spec)).logits
    loss = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels)
    assert history.epochs[0].valid_loss == pytest.approx(float(loss), rel=1e-5)


# patience


def test_a_training_ends_when_it_has_no_patience_left(data, tmp_path):
    history = train(tmp_path, data, epochs=30, patience=2, learning_rate=1e-12)  # nothing changes
    scores = [entry.valid_score for entry in history.epochs]
    assert len(scores) < 30 and len(scores) - history.best_epoch == 2
    assert max(scores[-2:]) <= max(scores[:-2])


def test_a_training_killed_after_it_ran_out_of_patience_is_not_gone_on_with(data, tmp_path, monkeypatch):
    options = {"epochs": 30, "patience": 2, "learning_rate": 1e-12}
    whole = train(tmp_path / "whole", data, **options)
    write = History.write

    def killed(self, path):
        if path.name == "history.json":
            raise KeyboardInterrupt
        write(self, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(History, "write", killed)
        train(tmp_path / "killed", data, **options)
    again = train(tmp_path / "killed", data, **options, progress=lambda *_: pytest.fail("trained again"))
    assert again.epochs == whole.epochs
    assert same(tmp_path / "whole" / "last.safetensors", tmp_path / "killed" / "last.safetensors")


# all at once


@pytest.fixture(scope="module")
def crowded():
    """Images with and without labels, and a teacher that is asked at every step."""
    return training_data(unlabelled=8, online=MeanTeacher())


def learn(folder, data, **options):
    settings = SETTINGS.model_copy(update={"balanced": True})
    objectives = [GroundTruth(adjustment=0.3), LogitMSE(PAIR, weight=0.1)]
    return train(folder, data, objectives=objectives, settings=settings, **EVERYTHING, **options)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, crowded):
    folder = tmp_path_factory.mktemp("everything")
    return folder, learn(folder, crowded, epochs=4)


@pytest.mark.parametrize(
    "killed_at", [2, 6, 14]
)  # of 16 batches: with a frozen backbone, after it, in the last epoch
def test_a_killed_training_with_everything_on_ends_like_an_uninterrupted_one(
    crowded, uninterrupted, tmp_path, killed_at
):
    seen = 0

    def kill(done, total):
        nonlocal seen
        seen += 1
        if seen == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, crowded, epochs=4, progress=kill)
    history = learn(tmp_path, crowded, epochs=4)
    folder, whole = uninterrupted
    assert history.epochs == whole.epochs
    for name in ("weights.safetensors", "last.safetensors"):
        assert same(folder / name, tmp_path / name)


@pytest.mark.parametrize("key", sorted({*EVERYTHING} - {"patience", "learning_rate"}))
def test_every_key_matters(crowded, uninterrupted, tmp_path, key):
    """Otherwise the test above would prove little."""
    default = {key: getattr(SCHEDULE, key)}
    settings = SETTINGS.model_copy(update={"balanced": True})
    objectives = [GroundTruth(adjustment=0.3), LogitMSE(PAIR, weight=0.1)]
    train(
        tmp_path, crowded, objectives=objectives, settings=settings, **{**EVERYTHING, **default, "epochs": 4}
    )
    assert not same(uninterrupted[0] / "last.safetensors", tmp_path / "last.safetensors")


# a loss that is no number


class Fragile(Objective):
    """Breaks at one step of the second epoch."""

    name = "fragile"

    def __init__(self, at):
        super().__init__()
        self.at = at

    def loss(self, output, batch, step):
        return output.logits.square().mean() * (float("inf") if step.step == self.at else 1.0)


def test_the_batch_is_named_and_the_last_whole_epoch_is_kept(data, tmp_path):
    steps = []
    with pytest.raises(EdgeproofError) as caught:
        train(
            tmp_path, data, objectives=[GroundTruth(), Fragile(at=6)],
            progress=lambda done, _: steps.append(done),
        )  # fmt: skip
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: the loss became inf in epoch 2, batch 3 (images 0/")
    assert message.endswith(
        "fragile=inf), expected finite numbers; lower learning_rate (now 0.02) or look at these images"
    )
    assert message.count(".png") == 3 and "; labels=0." in message
    assert steps[-1] == 6, "no step is taken with it"
    weights = load_file(tmp_path / "weights.safetensors")
    assert all(value.isfinite().all() for value in weights.values())
    steps.clear()
    with pytest.raises(EdgeproofError, match="in epoch 2, batch 3"):
        train(
            tmp_path, data, objectives=[GroundTruth(), Fragile(at=6)],
            progress=lambda done, _: steps.append(done),
        )  # fmt: skip
    assert steps == [5, 6], "it goes on after the last whole epoch"


def test_on_an_accelerator_losses_are_looked_at_together():
    from distill.training.finite import FiniteWatch

    class Elsewhere(torch.Tensor):
        @property
        def device(self):
            return torch.device("cuda")

    watch, indices = FiniteWatch(), torch.tensor([4, 5])
    good, bad = (torch.tensor(value).as_subclass(Elsewhere) for value in (1.0, math.nan))
    for number in range(48):
        value = bad if number >= 17 else good
        assert watch.add(number, indices=indices + number, losses=[("a", good), ("b", value)]) is None
    found = watch.look()
    assert (found.batch, found.indices, found.parts[0]) == (18, [21, 22], ("a", 1.0))
    assert watch.look() is None
