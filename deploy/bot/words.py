"""What the bot says. Torch-free."""

from deploy.artifact import Manifest
from deploy.prediction import Prediction

START = (
    "Send me a photograph, and I tell how likely it is that a model generated it, with a map of what my answer hangs on. "
    "Send it as a file where you can: Telegram compresses photographs, which wipes traces away. /help tells more."
)
HELP = (
    "A photograph, a file with one, or an album: each picture gets an answer of its own.\n"
    "/model: which model answers; /model NAME: another one, for you alone\n"
    "/models: which there are\n"
    "/about: what I am, and what I am not"
)
ABOUT = (
    "edgeproof: a small model that tells camera photographs from generated images. Its answer is a probability, and it errs; "
    "'not sure' is an answer. Pictures are judged in memory and not kept."
)
STILL_ONLY = "I judge still photographs only: send one as a photo or as a file."
TOO_LARGE = "That file is too large for me, at most {megabytes:g} MB. A photo of a smaller size will do."
TOO_MANY = "That was a lot at once: at most {most} pictures a minute. Try again in {seconds:.0f} seconds."
FAILED = "Something failed on my side; please try again."


def verdict(prediction: Prediction, *, caution: str | None) -> str:
    """The answer in a sentence or two."""
    said = prediction.answer or prediction.label
    kind = "generated" if prediction.threshold is not None else prediction.label
    numbers = f"probability of {kind} {prediction.probability:.0%}"
    if prediction.threshold is not None:
        numbers += f", threshold {prediction.threshold:.0%}"
    cautions = [one for one in (caution, *prediction.cautions) if one]
    return "\n".join([f"{said.capitalize()} ({numbers}).", *(f"Mind: {one}." for one in cautions)])


def model(name: str, manifest: Manifest) -> str:
    """One model in a line."""
    side = manifest.preprocess.size
    return f"{name}: {manifest.name}, {manifest.precision}, {side}x{side} pixels, learned from {manifest.data} images"
