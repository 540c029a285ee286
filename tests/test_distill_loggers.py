"""What follows a training: metrics.csv always, others where they are asked for."""

import csv
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import distill
from distill.errors import EdgeproofError
from distill.training.history import Epoch, History
from distill.training.loggers import numbers_of, open_loggers, write_metrics
from distill.training.settings import TrainingSettings

EPOCHS = tuple(
    Epoch(epoch=n, train_loss=1.5 / n, train_parts={"labels": 1.0 / n, "soft_bce": 0.5 / n}, valid_loss=0.3, valid_score=0.9)
    for n in (1, 2)
)  # fmt: skip


def test_an_epoch_in_numbers() -> None:
    assert numbers_of(EPOCHS[1], metric="AUC") == {
        "train_loss": 0.75, "train_labels": 0.5, "train_soft_bce": 0.25, "valid_loss": 0.3, "valid_auc": 0.9,
    }  # fmt: skip


def test_metrics_are_a_row_an_epoch(tmp_path: Path) -> None:
    write_metrics(History(metric="AUC", epochs=EPOCHS, best_epoch=1, seconds=1.0), tmp_path)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,train_loss,train_labels,train_soft_bce,valid_loss,valid_auc",
        "1,1.5,1.0,0.5,0.3,0.9", "2,0.75,0.5,0.25,0.3,0.9",
    ]  # fmt: skip


def test_a_logger_that_is_not_installed_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(**options: object) -> None:
        raise ModuleNotFoundError("No module named 'mlflow'")

    monkeypatch.setattr("lightning.pytorch.loggers.MLFlowLogger", missing)
    with pytest.raises(EdgeproofError, match=r"'mlflow' needs .* pip install 'edgeproof\[mlflow\]'"):
        open_loggers(["mlflow"], folder=tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_and_metrics_follow_a_training(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    random = np.random.default_rng(0)
    items = [(random.integers(0, 256, (32, 32, 3), dtype=np.uint8), n % 2) for n in range(40)]
    student = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
    )
    found = distill.distil(
        student=student, data=items, methods=[], preprocess=distill.PreprocessSpec(size=32), out=tmp_path / "out",
        schedule=distill.Schedule(epochs=2), settings=TrainingSettings(loggers=("tensorboard",), precision="fp32"),
    )  # fmt: skip
    [metrics] = tmp_path.rglob("metrics.csv")
    rows = list(csv.DictReader(metrics.read_text().splitlines()))
    assert [float(row["valid_auc"]) for row in rows] == [epoch.valid_score for epoch in found.history.epochs]
    assert list(metrics.parent.glob("tensorboard/events.out.tfevents.*"))


def test_loggers_change_no_result() -> None:
    from distill.pipeline.state import is_inert

    assert is_inert("training.loggers") and not is_inert("training.balanced")
    assert repr(TrainingSettings(loggers=("mlflow",))) == repr(TrainingSettings())
