"""The ResNet18 that speed-ups are taken to, beside whatever it is to be compared with. Torch-free by import."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec

from bench.contestant import Contestant

NO_TORCH = "torch is not installed, so no ResNet18 was timed, and no row has a speed-up over it"


def references_for(contestants: Iterable[Contestant], *, images: Sequence[bytes] = ()) -> list[Contestant]:
    """A reference for every input size, number of threads and batch among those that are timed; none without torch."""
    settings = dict.fromkeys(found.setting for found in contestants if found.skip_reason is None)
    if not settings or find_spec("torch") is None:
        return []
    from bench.contestants.torch import reference_contestant

    return [
        reference
        for size, threads, batch in settings
        for reference in reference_contestant(threads=threads, images=images, size=size, batch=batch)
    ]


def absent() -> dict[str, str]:
    """What a bench record says is absent, and why."""
    return {} if find_spec("torch") is not None else {"speedup_vs_resnet18_eager": NO_TORCH}
