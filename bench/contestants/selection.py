"""What ``edgeproof bench ARTIFACT...`` times: which artifacts, and in which settings. Torch-free by import."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contestant import Contestant
from bench.contestants.artifact import artifact_contestants
from bench.contestants.reference import references_for
from bench.contestants.resized import resized_or_why
from bench.contestants.source import sample_jpeg
from deploy.artifact import MANIFEST_NAME, verify
from deploy.shipped import shipped_artifacts
from distill.errors import EdgeproofError
from distill.forms import Precision, Runtime


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Settings that every artifact is timed in, and which of its rows are wanted; empty is all that there are.

    Attributes:
        threads: CPU threads of one inference.
        batches: images of one call.
        runtimes: of artifacts; PyTorch's reference is there all the same.
        precisions: of rows.
        input_sizes: in pixels; by default an artifact's own.
    """

    threads: Sequence[int]
    batches: Sequence[int] = (1,)
    runtimes: Sequence[Runtime] = ()
    precisions: Sequence[Precision] = ()
    input_sizes: Sequence[int] = ()


@dataclass(frozen=True)
class Named:
    """An artifact, and what its rows call it; ``unsized`` is a size that it cannot be had in, and why."""

    name: str
    folder: Path
    unsized: tuple[int, str] | None = None


def find_artifacts(given: Sequence[str]) -> tuple[list[Named], list[str]]:
    """Folders and names of shipped artifacts → the artifacts, and a line for each that is none.

    Rows bear the name in the manifest; where that would not tell two artifacts apart, the folder's.
    """
    found: dict[Path, str | None] = {}
    problems: list[str] = []
    for source in given:
        if (Path(source) / MANIFEST_NAME).is_file():
            found.setdefault(Path(source), None)
        elif not Path(source).exists() and source in shipped_artifacts():
            found.update(dict.fromkeys(shipped_artifacts()[source].values(), source))
        else:
            problems.append(
                f"{source}: is no artifact, expected a folder with {MANIFEST_NAME}, or one of: {', '.join(shipped_artifacts())}"
            )
    named: list[tuple[Named, object]] = []
    for folder, name in found.items():
        try:
            named.append(_named(folder, name))
        except EdgeproofError as error:
            problems.append(str(error))
    alike = Counter(what for _, what in named)
    return [
        one if alike[what] == 1 else Named(one.folder.resolve().name, one.folder) for one, what in named
    ], problems


def select(
    artifacts: Sequence[Named], selection: Selection, *, work: Path, images: Sequence[bytes] = ()
) -> list[Contestant]:
    """Every row that is wanted, each after the reference that it is compared with.

    Args:
        artifacts: of :func:`find_artifacts`.
        selection: what is wanted of them.
        work: folder for artifacts of other sizes than their own, needed as long as they are timed.
        images: JPEG files' bytes; one made-up photo by default.

    Raises:
        EdgeproofError: nothing is left to be timed.
    """
    photos = images or (sample_jpeg(),)
    sized = [
        found
        for number, artifact in enumerate(artifacts)
        for found in _at_sizes(artifact, selection, work=work / str(number))
    ]
    found = [
        contestant
        for threads in selection.threads
        for batch in selection.batches
        for artifact in sized
        for contestant in _wanted(artifact, selection, threads=threads, batch=batch, photos=photos)
    ]
    if not found:
        asked = {"--runtime": selection.runtimes, "--precision": selection.precisions}
        told = " and ".join(f"{option} {','.join(names)}" for option, names in asked.items() if names)
        raise EdgeproofError(f"{told or 'bench'}: none of the artifacts has such a row")
    return [*references_for(found, images=photos), *found]


def _named(folder: Path, name: str | None) -> tuple[Named, object]:
    """An artifact, and all that its rows would tell of it."""
    manifest = verify(folder)  # before the rest is timed for minutes
    named = Named(name or manifest.name, folder)
    quantizer = manifest.quantizer.name if manifest.quantizer else None
    return named, (named.name, manifest.runtimes, manifest.precision, quantizer, manifest.preprocess.size)


def _at_sizes(artifact: Named, selection: Selection, *, work: Path) -> Iterator[Named]:
    for size in selection.input_sizes:
        found = resized_or_why(artifact.folder, size, out=work / str(size))
        if isinstance(found, str):
            yield replace(artifact, unsized=(size, found))
        else:
            yield replace(artifact, folder=found)
    if not selection.input_sizes:
        yield artifact


def _wanted(
    artifact: Named, selection: Selection, *, threads: int, batch: int, photos: Sequence[bytes]
) -> Iterator[Contestant]:
    for contestant in artifact_contestants(
        artifact.folder, model=artifact.name, threads=threads, batch=batch, images=photos
    ):
        runs = not selection.runtimes or contestant.runtime in selection.runtimes
        if runs and (not selection.precisions or contestant.precision in selection.precisions):
            yield from _skipped(contestant, artifact.unsized) if artifact.unsized else [contestant]


def _skipped(contestant: Contestant, unsized: tuple[int, str]) -> Iterator[Contestant]:
    size, reason = unsized
    if contestant.scope == "model":  # one row says it
        yield replace(contestant, input_size=size, source=None, skip_reason=reason)
