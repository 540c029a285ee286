"""What follows a training beside its own record: ``metrics.csv`` always, TensorBoard or MLflow where they are asked for."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill.errors import EdgeproofError
from distill.files import write_text
from distill.training.history import Epoch, History

METRICS = "metrics.csv"


def write_metrics(history: History, folder: Path) -> None:
    """Write ``metrics.csv``: a row an epoch, a column each for what :func:`numbers_of` gives."""
    rows = [{"epoch": epoch.epoch, **numbers_of(epoch, metric=history.metric)} for epoch in history.epochs]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / METRICS, text.getvalue())


def numbers_of(epoch: Epoch, *, metric: str) -> dict[str, float]:
    """An epoch's numbers by the names that loggers show: ``train_loss``, its parts, ``valid_loss``, ``valid_<metric>``."""
    parts = {f"train_{name}": value for name, value in epoch.train_parts.items()}
    return {
        "train_loss": epoch.train_loss, **parts, "valid_loss": epoch.valid_loss,
        f"valid_{metric.lower()}": epoch.valid_score,
    }  # fmt: skip


def open_loggers(names: Sequence[str], *, folder: Path) -> list[Any]:
    """Lightning's loggers, each writing into the training's own folder.

    Raises:
        EdgeproofError: a logger whose package is not installed; names the extra.
    """
    return [_open(name, folder) for name in names]


def _open(name: str, folder: Path) -> Any:
    try:
        return LOGGERS[name](folder)
    except ImportError:  # Lightning looks for the package when a logger is made
        raise EdgeproofError(
            f"training.loggers: {name!r} needs a package that is not installed; pip install 'edgeproof[{name}]'"
        ) from None


def _tensorboard(folder: Path) -> Any:
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(save_dir=folder, name="", version="tensorboard")


def _mlflow(folder: Path) -> Any:
    from lightning.pytorch.loggers import MLFlowLogger

    return MLFlowLogger(experiment_name="edgeproof", run_name=str(folder), save_dir=str(folder / "mlflow"))


LOGGERS: dict[str, Callable[[Path], Any]] = {"tensorboard": _tensorboard, "mlflow": _mlflow}
