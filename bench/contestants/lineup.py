"""What a run's bench times: the reference, every deployed network, and each of its artifacts. Torch-free by import."""

from collections.abc import Iterator, Sequence

from bench.contestant import Contestant
from bench.contestants.artifact import artifact_contestants, left_out_contestant
from bench.contestants.reference import references_for
from distill.data.storage import read_bytes
from distill.machine import thread_count
from distill.pipeline.runfolder import WEIGHTS, load_samples
from distill.pipeline.stage import Run
from distill.roster import Artifact, Model, Roster

_PHOTOS = 16


def lineup(run: Run, roster: Roster, *, left_out: Sequence[tuple[Artifact, str]] = ()) -> list[Contestant]:
    """Everything that a run times, at every input size that it has artifacts of, each with its reference.

    Args:
        run: the run.
        roster: the networks and artifacts.
        left_out: artifacts that could not be made, and why: a row each that says so.
    """
    threads, photos = thread_count(run.recipe.bench.threads), _photos(run)
    found = [
        contestant
        for model in roster.deployed
        for contestant in _of_model(run, roster, model, threads=threads, photos=photos)
    ]
    lost = [left_out_contestant(item, reason=reason, threads=threads) for item, reason in left_out]
    return [*references_for(found, images=photos), *found, *lost]


def _of_model(
    run: Run, roster: Roster, model: Model, *, threads: int, photos: list[bytes]
) -> Iterator[Contestant]:
    from bench.contestants.torch import count_macs, count_params, torch_contestants
    from distill.models import load_model

    module = load_model(run.recipe, model, run.folder / model.folder / WEIGHTS)
    params, artifacts = count_params(module), roster.artifacts_of(model)
    for size in dict.fromkeys(artifact.size for artifact in artifacts):
        macs, preprocess = count_macs(module, size), model.preprocess.model_copy(update={"size": size})
        yield from torch_contestants(
            module, model=model.name, preprocess=preprocess, threads=threads, images=photos
        )
        for artifact in artifacts:
            if artifact.size == size:
                yield from artifact_contestants(
                    run.folder / artifact.folder,
                    model=model.name,
                    quantizer=artifact.quantizer,
                    threads=threads,
                    images=photos,
                    params=params,
                    macs=macs,
                )


def _photos(run: Run) -> list[bytes]:
    """JPEG files of the test split, for the end-to-end scope."""
    dataset = load_samples(run.folder)
    jpegs = [s for s in dataset.split("test") if s.path.lower().endswith((".jpg", ".jpeg"))]
    return [read_bytes(dataset.root, sample) for sample in jpegs[:_PHOTOS]]
