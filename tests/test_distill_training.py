import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_fixture import PAIR, SCHEDULE, SETTINGS, SPEC, TinyNet
from training_fixture import network as model
from training_parts import FLIPS, Said, lesson, same, taught, train

from distill.errors import EdgeproofError
from distill.methods.ground_truth import GroundTruth
from distill.methods.logit_mse import LogitMSE
from distill.methods.method import Needs
from distill.methods.objective import Objective
from distill.recipe import Schedule, TrainingSettings
from distill.task import BINARY
from distill.training.batches import BatchDataset
from distill.training.checkpoint import load_weights, read_sidecar
from distill.training.fit import TrainingData
from distill.training.history import Epoch, History
from distill.training.optimizer import rate
from distill.training.trainable import Trainable


@pytest.fixture(scope="module")
def data():
    return lesson()


@pytest.fixture(scope="module")
def learned(tmp_path_factory, data):
    """A training long enough to learn, with what it returned."""
    folder = tmp_path_factory.mktemp("learned") / "alone"
    return folder, train(folder, data, schedule=SCHEDULE.model_copy(update={"epochs": 12}))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """An uninterrupted distilled training of three epochs."""
    folder = tmp_path_factory.mktemp("whole") / "distilled"
    return folder, train(folder, data, objectives=taught())


def test_a_trivial_signal_is_learned(learned):
    _, history = learned
    assert history.epochs[-1].valid_score > 0.95
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss


def test_the_history_names_every_part_and_is_written(whole):
    folder, history = whole
    assert History.read(folder / "history.json") == history
    assert history.metric == "AUC"
    assert [entry.epoch for entry in history.epochs] == [1, 2, 3]
    for entry in history.epochs:
        assert list(entry.train_parts) == ["labels", "logit_mse", "hint"]
        assert entry.train_loss == pytest.approx(sum(entry.train_parts.values()), rel=1e-6)
        assert set(Epoch.model_fields) == {"epoch", "train_loss", "train_parts", "valid_loss", "valid_score"}
    assert 0 < history.seconds < 600


def test_the_best_epoch_is_kept_and_the_last_one_too(learned):
    folder, history = learned
    aucs = [entry.valid_score for entry in history.epochs]
    assert history.best_epoch == 1 + aucs.index(max(aucs))
    best, last = read_sidecar(folder / "weights.safetensors"), read_sidecar(folder / "last.safetensors")
    assert (best["epoch"], last["epoch"]) == (history.best_epoch, 12)
    assert (best["architecture"], best["seed"]) == ("tiny", 3)


def test_only_the_students_weights_are_saved(whole):
    folder, _ = whole
    for name in ("weights.safetensors", "last.safetensors"):
        assert set(load_file(folder / name)) == set(TinyNet().state_dict())
        load_weights(TinyNet(), folder / name)


def test_nothing_else_is_left_behind(whole):
    folder, _ = whole
    assert {path.name for path in folder.iterdir()} == {
        "weights.safetensors", "weights.json", "last.safetensors", "last.json", "history.json", "metrics.csv",
    }  # fmt: skip


def test_the_saved_weights_are_the_models(data, tmp_path):
    network = model()
    train(tmp_path, data, network=network, schedule=SCHEDULE.model_copy(update={"epochs": 1}))
    saved = load_file(tmp_path / "last.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in network.state_dict().items())


def test_the_same_seed_gives_the_same_bits(data, whole, tmp_path):
    train(tmp_path, data, objectives=taught())
    same(whole[0], tmp_path, "last.safetensors")


def test_a_network_that_was_evaluated_before_trains_all_the_same(data, whole, tmp_path):
    train(tmp_path, data, objectives=taught(), network=model().eval())
    same(whole[0], tmp_path, "last.safetensors")


@pytest.mark.parametrize("killed_at", [6, 11])  # of 12 steps: in the second and in the third epoch
def test_a_killed_training_ends_like_an_uninterrupted_one(data, whole, tmp_path, killed_at):
    def kill(done, total):
        assert total == 12
        if done == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, data, objectives=taught(), progress=kill)
    assert (tmp_path / "resume.safetensors").is_file() and not (tmp_path / "history.json").exists()
    steps = []
    history = train(tmp_path, data, objectives=taught(), progress=lambda done, total: steps.append(done))
    first = killed_at // 4 * 4 + 1
    assert steps == list(range(first, 13))  # whole epochs are not redone
    assert history.epochs == whole[1].epochs
    same(whole[0], tmp_path, "weights.safetensors")
    same(whole[0], tmp_path, "last.safetensors")
    assert not (tmp_path / "resume.safetensors").exists()


def test_a_killed_training_of_something_else_is_not_gone_on_with(data, tmp_path):
    def kill(done, total):
        if done == 6:
            raise KeyboardInterrupt

    slow = Schedule(**{**SCHEDULE.model_dump(), "learning_rate": SCHEDULE.learning_rate / 7})
    for change in (
        {"schedule": slow},
        {"objectives": [GroundTruth(weight=0.5)]},
        {"settings": TrainingSettings(horizontal_flip=False, accelerator="cpu")},
    ):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, data, progress=kill)
        assert (tmp_path / "resume.safetensors").is_file()
        steps = []
        train(tmp_path, data, progress=lambda done, total, steps=steps: steps.append(done), **change)
        assert steps == list(range(1, 13))


def test_a_training_killed_after_its_last_epoch_only_finishes_writing(data, whole, tmp_path, monkeypatch):
    write = History.write

    def killed(self, path):
        if path.name == "history.json":
            raise KeyboardInterrupt
        write(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(History, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, data, objectives=taught())
    history = train(
        tmp_path, data, objectives=taught(), progress=lambda done, total: pytest.fail("trained again")
    )
    assert history.epochs == whole[1].epochs
    assert 0 < history.seconds < 600
    same(whole[0], tmp_path, "last.safetensors")


def test_ctrl_c_leaves_the_handler_in_place(data, tmp_path):
    import signal

    before = signal.getsignal(signal.SIGINT)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, data, progress=stop)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_damaged_training_state_says_how_to_go_on(data, tmp_path):
    (tmp_path / "resume.safetensors").write_bytes(b"rubbish")
    with pytest.raises(
        EdgeproofError, match="resume.safetensors: not a whole training state .*delete it to start"
    ):
        train(tmp_path, data)


def test_a_student_alone_differs_in_the_objectives_alone(data, whole, tmp_path):
    """Without weight on the teacher's terms the distilled student is the one alone, bit for bit."""
    silent = taught()
    for objective in silent[1:]:
        objective.weight = 0.0
    train(tmp_path / "silent", data, objectives=silent)
    train(tmp_path / "alone", data)
    same(tmp_path / "silent", tmp_path / "alone", "last.safetensors")
    alone, distilled = (load_file(folder / "last.safetensors") for folder in (tmp_path / "alone", whole[0]))
    assert not torch.equal(alone["head.weight"], distilled["head.weight"])


def test_a_student_follows_its_teacher(data, tmp_path):
    """Only the teacher speaks, and it holds the opposite of the labels."""
    labels = torch.from_numpy(data.train.labels)
    against = {"teacher": Said((3 - 6 * labels)[:, None].repeat(1, 2))}
    contrary = TrainingData(
        train=BatchDataset(data.train.pixels, teachers=against, views=FLIPS), valid=data.valid, spec=SPEC
    )
    history = train(
        tmp_path, contrary, objectives=[LogitMSE(PAIR)], schedule=SCHEDULE.model_copy(update={"epochs": 12})
    )
    assert history.epochs[-1].valid_score < 0.05


def test_a_loss_that_is_not_finite_names_the_learning_rate(data, tmp_path):
    class Broken(Objective):
        name = "broken"

        def loss(self, output, batch, step):
            return output.logits.sum() * float("nan")

    with pytest.raises(EdgeproofError) as caught:
        train(tmp_path / "alone", data, objectives=[Broken()])
    assert str(caught.value) == (
        f"{tmp_path}/alone: the loss became nan in epoch 1, batch 1 (images 0/28.png, 0/29.png, 0/3.png, ...; broken=nan), "
        "expected finite numbers; lower learning_rate (now 0.02) or look at these images"
    )
    assert not (tmp_path / "alone" / "weights.safetensors").exists()


def trainable(objectives, *, network=None, schedule=SCHEDULE, **options):
    """What Lightning trains, outside of a training."""
    module = Trainable(
        network or model(), task=BINARY, objectives=objectives, schedule=schedule, spec=SPEC, **options
    )
    module.trainer = SimpleNamespace(estimated_stepping_batches=10, current_epoch=1, global_step=5)
    return module


def test_objectives_of_one_name_all_count(data):
    hints = [LogitMSE(PAIR, weight=weight) for weight in (1.0, 10.0)]
    module = trainable(hints, network=model().eval())
    batch = data.train[[(0, 0, 0), (1, 0, 0)]]
    loss = module.training_step(batch, 0)
    alone = trainable(hints[:1], network=module.model).training_step(batch, 0)
    assert loss.item() == pytest.approx(11 * alone.item())
    assert module.parts["logit_mse"].item() == pytest.approx(loss.item())


def test_an_objective_is_told_how_far_the_training_is(data, tmp_path):
    """For warm-ups and schedules: epochs from 0, the optimizer's steps, and which images they are."""
    told = []

    class Watching(Objective):
        name = "watching"

        def loss(self, output, batch, step):
            told.append((*step, batch.indices.tolist()))
            return output.logits.sum()

    train(tmp_path, data, objectives=[Watching()])
    assert [entry[:4] for entry in told] == [(number // 4, 3, number, 12) for number in range(12)]
    for epoch in range(3):
        seen = [index for entry in told[4 * epoch : 4 * epoch + 4] for index in entry[4]]
        assert sorted(seen) == list(range(32))


def test_a_method_sees_the_training_data_once_before_the_first_step(data, tmp_path):
    told = []

    class Bank(LogitMSE):
        def prepare(self, samples):
            told.append(samples)

        def loss(self, output, batch, step):
            told.append("step")
            return super().loss(output, batch, step)

    train(tmp_path, data, objectives=[Bank(PAIR)], schedule=SCHEDULE.model_copy(update={"epochs": 1}))
    assert told == [data.train.pixels.samples, *["step"] * 4]


def test_a_memory_over_the_data_needs_one_process(data, tmp_path):
    class Bank(LogitMSE):
        name = "bank"
        needs = Needs(memory=True)

    settings = SETTINGS.model_copy(update={"devices": 2})
    with pytest.raises(
        EdgeproofError, match=r"bank keeps a memory over the data set .*training\.devices = 2; expected 1"
    ):
        train(tmp_path, data, objectives=[Bank(PAIR)], settings=settings)


def test_decay_spares_norms_and_biases():
    module = trainable([], schedule=SCHEDULE.model_copy(update={"weight_decay": 0.3}))
    decayed, plain = module.configure_optimizers()["optimizer"].param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3, 3, 3), (1, 4)]
    assert all(p.ndim == 1 for p in plain["params"]) and len(plain["params"]) == 4


def test_the_learning_rate_warms_up_and_decays_to_zero():
    rates = [rate(step, total=100, schedule=SCHEDULE) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1.0  # ten steps of warm-up
    assert rates[55] == pytest.approx(0.5) and rates[100] == pytest.approx(0.0, abs=1e-12)
    assert all(later <= earlier for earlier, later in zip(rates[10:], rates[11:], strict=False))


def test_the_data_is_not_changed_by_training(data, tmp_path):
    before = copy.deepcopy(data.train.pixels.cache)
    train(tmp_path, data, schedule=SCHEDULE.model_copy(update={"epochs": 1}))
    np.testing.assert_array_equal(data.train.pixels.cache, before)
