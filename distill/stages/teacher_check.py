"""A teacher is checked before it teaches: what it says of labelled images must be as good as it was found to be.

Outputs computed under the student's mean and std instead of the teacher's once turned a gain into a loss, silently.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.errors import EdgeproofError
from distill.evaluation.statistics import bootstrap_ci
from distill.pipeline.runfolder import WEIGHTS, load_arrays
from distill.pipeline.stage import Run
from distill.roster import Model
from distill.stages.training import data_name, groups_of, labels_of
from distill.task import Task, find_task

TOLERANCE = 0.01
CHECKED = 2000  # labelled images that are enough to see it


def labelled_rows(labels: npt.NDArray[Any], *, seed: int) -> npt.NDArray[np.int64]:
    """Numbers of at most :data:`CHECKED` labelled images, drawn at random."""
    rows = np.flatnonzero(labels >= 0)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:CHECKED])


def check_outputs(
    run: Run, teacher: Model, *, labels: npt.NDArray[Any], logits: npt.NDArray[np.float32], what: str
) -> None:
    """Compare a teacher's answers with what its sidecar says that it knows.

    It may know more of these images than of those it was judged on (it may have learned from them), but not less:
    :data:`TOLERANCE`, or three standard errors where there are few images.

    Args:
        run: the run.
        teacher: who answered.
        labels: ``[N]``, of labelled images alone.
        logits: ``[N]`` or ``[N, K]``, of the images as they are.
        what: names the answers in the message.

    Raises:
        EdgeproofError: it knows less.
    """
    from distill.training.checkpoint import read_sidecar

    about = read_sidecar(run.folder / teacher.folder / WEIGHTS)
    task = find_task(run.recipe.task)
    if len(np.unique(labels)) < 2 or not np.isfinite(logits).all():
        raise EdgeproofError(
            f"{what}: {len(labels)} labelled images of {len(np.unique(labels))} classes with "
            f"{int((~np.isfinite(logits)).sum())} logits that are not finite; expected both classes and finite numbers"
        )
    found = task.score(labels, logits)
    for where, promised in _promises(run, about):
        slack = max(TOLERANCE, 3 * _standard_error(promised, labels, task=task))
        if found < promised - slack:
            raise EdgeproofError(
                f"{what}: the teacher's {task.metric} on {len(labels)} labelled training images is {found:.3f}, "
                f"expected {promised:.3f} as {where}, within {slack:.3f}; likely it is shown images with another "
                f"mean, std or size than it was trained with ({teacher.section}.preprocess), or is another teacher"
            )


def check_polarity(run: Run, teacher: Model) -> None:
    """See that a teacher that comes from elsewhere calls generated images generated, and not real ones.

    Raises:
        EdgeproofError: on this run's validation images it is worse than guessing, and that is no chance.
    """
    task, labels = find_task(run.recipe.task), labels_of(run, "valid")
    if task.num_logits != 1:
        return
    scores = task.answers(load_arrays(run.folder / teacher.logits)["valid"])
    interval = bootstrap_ci(labels > 0, scores, groups_of(run, "valid"), n=300)
    if interval is None or interval[1] >= 0.5:
        return
    given = run.recipe.all_teachers[teacher.name].generated_class
    raise EdgeproofError(
        f"{teacher.section}.weights: AUC {task.score(labels, scores):.3f} [{interval[0]:.3f}, {interval[1]:.3f}] on "
        f"{len(labels)} validation images, worse than guessing: it takes real images for generated ones. Of a head with two "
        f"classes set {teacher.section}.generated_class = {1 - given}; otherwise it sees images in another way than it was "
        f"trained with ({teacher.section}.preprocess)"
    )


def _promises(run: Run, about: dict[str, Any]) -> list[tuple[str, float]]:
    """What the sidecar says of the teacher: on this run's validation images, and where it was trained."""
    here, there = about.get("metric") or {}, about.get("promised") or {}
    found = [("on this run's validation images", here.get("valid"))]
    if there and there["data"] == data_name(run):  # a number from other data promises nothing here
        found.append(("its weights' sidecar says", there.get("test", there.get("valid"))))
    return [(where, float(value)) for where, value in found if value is not None]


def _standard_error(score: float, labels: npt.NDArray[Any], *, task: Task) -> float:
    """Of a share, over the images of the rarest class: not smaller than that of an AUC."""
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    share = min(max(score, 1 / smallest), 1 - 1 / smallest) if smallest > 1 else 0.5
    return math.sqrt(share * (1 - share) / smallest)
