"""What to do about a check of the accuracy gate that failed. Torch-free."""

from bench.records.accuracy import AccuracyCheck, Measure
from distill.roster import TEACHER

DIFFERENCES: tuple[Measure, ...] = ("auc_drop", "tpr_at_5fpr_drop", "accuracy_drop")
"""Of INT8 against its FP32 form."""

_MORE_SCENES = (
    "Test on more scenes: add images, raise data.test_share, or say which images belong together (a manifest's column "
    "group, data.groups)."
)
_MEND = "Ship the FP32 form, or let repair.steps mend INT8."
_ADVICE: dict[Measure, str] = {
    "auc_drop": f"{_MEND} Another quantizer or more calibration images may help too.",
    "tpr_at_5fpr_drop": f"{_MEND} A test split with more real images makes the rate finer.",
    "accuracy_drop": f"{_MEND} Another quantizer or more calibration images may help too.",
    "above_chance": "Train longer (students.NAME.epochs), on more images (data.unlabelled), or with a larger student.",
    "heldout_above_chance": "Train on more generators, or say wherever it is used which generators it knows.",
    "teacher_gap": "Train longer (students.NAME.epochs), on more images (data.unlabelled), or with a larger student.",
    "heldout_teacher_gap": "Distil on more images without labels (data.unlabelled), of more generators.",
    "identity_auc": "Something but the pixels tells the classes apart: look at edgeproof data inspect --report and data audit.",
    "teacher_auc": "Train the teacher longer, or take a shipped one (edgeproof list teachers).",
    "degraded_auc": "Train on degraded views: the section [augmentation] of the recipes robust and photos.",
    "degraded_accuracy": "Train on degraded views: the section [augmentation] of the recipes robust and photos.",
}
_TEACHER = (
    "Nothing can be learned from a teacher that guesses: check the labels (edgeproof data inspect --report), keep pixels as "
    "they are (preprocess.policy = center_crop), train it longer, or let one that is finished learn your images (--set "
    "teacher.fine_tune=true --set teacher.epochs=12; shipped ones: edgeproof list teachers)."
)
_GAIN = "FP32 and INT8 do not answer alike on the same images: run edgeproof verify, and export and quantize again."


def advice(check: AccuracyCheck) -> str:
    """The next step, in a sentence."""
    if check.value is None:
        return _MORE_SCENES
    if check.measure == "above_chance" and check.model == TEACHER:
        return _TEACHER
    if check.measure in DIFFERENCES and check.value < 0:
        return _GAIN
    return _ADVICE[check.measure]
