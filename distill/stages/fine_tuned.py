"""The work of a student's stage before a head is fitted, where its backbone is fine-tuned first."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from distill.pipeline.runfolder import WEIGHTS
from distill.pipeline.stage import Run
from distill.roster import Model
from distill.training.settings import Schedule

FOLDER = "backbone"  # in that of the training


def tune_backbone(
    run: Run,
    network: Any,
    *,
    model: Model,
    schedule: Schedule,
    by_gradients: Callable[[Any, Model, Schedule], None],
) -> None:
    """Train the backbone of an ``Embed`` in place, as its arm trains; its best epoch on validation images is kept.

    What the training leaves is its ``history.json``: the weights become those of the student.

    Args:
        run: with its folder.
        network: the student; its ``fine_tune_epochs`` are trained.
        model: the training.
        schedule: batch size, learning rate and all else of the training.
        by_gradients: trains a network into the folder of a model, by a schedule.
    """
    from distill.training.checkpoint import load_weights
    from students.embed import UnderLinear

    tuned = UnderLinear(network)
    place = replace(model, folder=f"{model.folder}/{FOLDER}")
    by_gradients(tuned, place, schedule.model_copy(update={"epochs": network.fine_tune_epochs}))
    folder = run.folder / place.folder
    load_weights(tuned, folder / WEIGHTS)
    network.backbone.eval().requires_grad_(False)
    for name in (WEIGHTS, "weights.json", "last.safetensors"):  # not of the network that their sidecar names
        (folder / name).unlink(missing_ok=True)
