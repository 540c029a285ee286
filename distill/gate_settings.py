"""What a recipe asks of a run before it calls it good: ``[gates]``. Torch-free."""

from typing import Annotated

from pydantic import Field

from distill.section import NonNegative, Positive, Section, Share


class GateSettings(Section):
    """What must hold, otherwise exit 1 (with the report written all the same).

    The teacher, the distilled students and their INT8 forms must be beyond guessing: the lower end of the 95 % interval of
    their AUC reaches 0.5 + ``above_chance`` (of K classes the accuracy, as far on the way from guessing to perfect; -1 lets
    all pass), and a student lies at most ``teacher_gap`` below the teacher. INT8 forms are held to both on held-out
    generators too. An INT8 student differs from its FP32 form by at most ``auc_drop`` and ``tpr_at_5fpr_drop``, one of K
    classes by ``accuracy_drop``, in either direction; no single test image's probability may differ by more than
    ``int8_drift`` (1 lets all pass). ``degraded_auc`` and ``degraded_accuracy`` (balanced) are the least that an INT8
    student keeps under the worst of the plausible degradations; 0 asks nothing. ``accept`` names checks that may fail
    (``metadata``, ``near_duplicates_across_splits``, ...).
    """

    above_chance: Annotated[float, Field(ge=-1.0, le=0.5)] = 0.1
    teacher_gap: Share = 0.15

    auc_drop: NonNegative = 0.02
    tpr_at_5fpr_drop: NonNegative = 0.10
    accuracy_drop: NonNegative = 0.02
    parity_fp32: Positive = 1e-3
    int8_drift: Share = 0.25
    metadata_auc: Share = 0.05
    flip_drop: Share = 0.10
    near_duplicates: Share = 0.001
    identity_auc: Share = 0.05
    teacher_auc: Share = 0.0
    degraded_auc: Share = 0.0
    degraded_accuracy: Share = 0.0
    accept: tuple[str, ...] = ()
