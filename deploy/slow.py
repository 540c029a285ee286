"""A warning before something is shipped that is slower than what it was made from. Torch-free."""

from pathlib import Path

from deploy.profile import explain_slow, profile_artifact
from distill.forms import Runtime
from distill.preprocess import Pixels


def slow_warning(
    folder: Path, *, name: str, ratio: float, beside: str, runtime: Runtime, pixels: Pixels, threads: int
) -> str:
    """What is slow, by how much, and why.

    Args:
        folder: the INT8 artifact.
        name: what to call it.
        ratio: its time as a multiple of the other form's.
        beside: what to call that one.
        runtime: whose model.
        pixels: one image, uint8 ``[1, S, S, 3]``.
        threads: CPU threads of one inference.
    """
    profile = profile_artifact(folder, runtime=runtime, pixels=pixels, threads=threads)
    return f"{name} takes {ratio:.2f} times as long as {beside} here: {explain_slow(profile)}"
