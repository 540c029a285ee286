"""``edgeproof predict``: an artifact's word on photos. Needs no torch."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli.dispatch import MANIFEST, is_artifact
from distill.cli.options import JsonOption, RuntimeOption
from distill.cli.sign import PublicKeyOption
from distill.cli.terminate import stop_code
from distill.cli.verbosity import is_quiet, quiet_libraries
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from deploy.video.faces import FindFace
    from deploy.video.frames import Sampling

_LOOK_EVERY_S = 0.5


def predict(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[ARTIFACT] PHOTO|CLIP...",
            help="An artifact's folder or the name of a shipped one (edgeproof list artifacts; default: photos-128), "
            "then photos, videos, or folders of them.",
        ),
    ] = None,
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option(help="Write the answers to this file, NAME.csv.")] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read paths from standard input, answer in lines of JSON.")
    ] = False,
    watch: Annotated[
        Path | None, typer.Option(help="Answer for photos that appear in this folder, in lines of JSON.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="resize, center_crop or tiles (default: the artifact's).")
    ] = None,
    runtime: RuntimeOption = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads (default: the runtime's).")] = None,
    workers: Annotated[int | None, typer.Option(help="Photos judged side by side.")] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Run the model in a process of its own, ended where a photo takes longer: for artifacts nobody vouches for.",
        ),
    ] = None,
    public_key: PublicKeyOption = None,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Tell beside it what the file says of its own origin.")
    ] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder for OpenVINO's compiled models.")] = None,
    frames: Annotated[
        int | None, typer.Option(help="Of a video: frames, in bursts of eight evenly over it (default: 64).")
    ] = None,
    every: Annotated[int | None, typer.Option(help="Of a video: every n-th frame instead.")] = None,
    faces: Annotated[
        bool, typer.Option("--faces", help="Of a video: look at the largest face of each frame alone.")
    ] = False,
    face_boxes: Annotated[
        Path | None,
        typer.Option(
            help="The same with faces that you found: a table with time_s, left, top, right, bottom."
        ),
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Folder for a picture, a CSV and a JSON of each video over time.")
    ] = None,
) -> None:
    """Say of each photo or video whether it is real or generated. Needs no torch."""
    from deploy.predict import Form, answers_for, check_csv, summary, tell, warn
    from deploy.runtime import Detector
    from deploy.video.answer import clip_answers

    sampling, finder = _sampling(frames, every), _finder(faces, face_boxes)
    if csv:
        check_csv(csv)
    artifact, images = _artifact_and_photos(paths or [])
    photos = _photos(images, stdin=stdin, watch=watch)
    form: Form = "lines" if stdin or watch else "json" if as_json else "text"
    with quiet_libraries():
        detector = Detector.load(
            artifact, runtime=runtime, threads=threads, workers=workers, cache=cache, timeout_s=timeout,
            public_key=public_key,
        )  # fmt: skip
        if detector.caution:
            warn(f"caution: {detector.caution}")
        if finder and _has_photo(photos):
            warn("caution: faces are looked for in videos alone, photos are judged as a whole")
        clips = clip_answers(detector, sampling=sampling, policy=policy, faces=finder, out=timeline)  # type: ignore[arg-type]
        extra = _provenance if provenance else None
        answers = answers_for(detector, photos, policy=policy, extra=extra, clips=clips)  # type: ignore[arg-type]
        classes = detector.manifest.labels if detector.manifest.task == "multiclass" else ()
        told = tell(answers, form=form, csv=csv, classes=classes)
    if (told.counts.total() != 1 or stdin or watch) and not is_quiet():
        warn(summary(told.counts))
    if told.counts["error"]:
        raise typer.Exit(2)
    if told.interrupted and not watch:  # which ends in no other way
        raise typer.Exit(stop_code())


def _artifact_and_photos(paths: list[Path]) -> tuple[Path | str, list[Path]]:
    """The artifact, which may come first, and the photos: which of them the first path is shows by what lies there.

    Raises:
        EdgeproofError: it is nothing at all, or a folder that may be meant as either.
    """
    from deploy.shipped import DEFAULT, shipped_artifacts

    if not paths:
        return DEFAULT, []
    first, *others = paths
    names = ", ".join(shipped_artifacts())
    if is_artifact(str(first)) or (not first.exists() and str(first) in shipped_artifacts()):
        return str(first), others
    if not first.exists():
        raise EdgeproofError(
            f"{first}: no such file, expected an artifact's folder, a shipped one's name ({names}) or a photo"
        )
    if first.is_dir() and others:
        raise EdgeproofError(
            f"{first}: holds no {MANIFEST}, expected an artifact's folder, or a shipped one's name ({names}) before "
            "folders of photos"
        )
    return DEFAULT, paths


def _sampling(frames: int | None, every: int | None) -> "Sampling":
    from deploy.video.frames import Sampling

    if frames is not None and every is not None:
        raise EdgeproofError("--frames and --every were given, expected one of them")
    return Sampling(every=every) if frames is None else Sampling(frames=frames)


def _finder(faces: bool, table: Path | None) -> "Callable[[Path], FindFace] | None":
    """What finds the faces of a clip, if that is asked for; complains before any work."""
    if not faces and table is None:
        return None
    from deploy.video.faces import face_finder, faces_of_table

    if table is None:
        face_finder()
        return lambda clip: face_finder()
    faces_of_table(table, Path())
    return lambda clip: faces_of_table(table, clip)


def _has_photo(paths: Iterable[Path]) -> bool:
    """Whether any is a photo, as far as they are known: those that are still to come are not."""
    from deploy.video.suffixes import is_clip

    return isinstance(paths, list) and not all(map(is_clip, paths))


def _provenance(photo: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from deploy.provenance import provenance_of

    return {"provenance": [asdict(claim) for claim in provenance_of(photo)]}


def _photos(images: list[Path], *, stdin: bool, watch: Path | None) -> Iterable[Path]:
    from importlib.util import find_spec

    from deploy.video.suffixes import VIDEO_SUFFIXES
    from deploy.watch import new_photos, paths_from, photos_in

    if bool(images) + stdin + (watch is not None) != 1:
        raise EdgeproofError("expected photos, or --stdin, or --watch FOLDER, and one of them only")
    if stdin:  # unbuffered: a thread that waits in a buffered reader would hold up the end of the process
        return paths_from(open(0, "rb", buffering=0, closefd=False))  # noqa: PTH123, SIM115
    if watch:
        return new_photos(watch, pause=_pause)
    also = VIDEO_SUFFIXES if find_spec("av") else frozenset()  # without it a folder's clips are passed over
    return [photo for path in images for photo in photos_in(path, also=also)]


def _pause() -> bool:
    time.sleep(_LOOK_EVERY_S)
    return True
