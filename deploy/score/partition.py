"""One partition: images in, two Parquet files out. Torch-free."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.cautions import cautions_about
from deploy.in_order import in_order
from deploy.runtime import Detector
from distill.data.samples import UNLABELLED, Sample, Skipped
from distill.data.storage import open_sized
from distill.errors import EdgeproofError
from distill.files import atomic_path
from distill.optional import require
from distill.plain import plain

BAD = "_bad"
_ONE = ("probability", "logit", "label", "generated", "answer")


def part_name(number: int) -> str:
    """A partition's file."""
    return f"part-{number:06d}.parquet"


def is_scored(out: Path, number: int) -> bool:
    """Whether a partition is there: its answers are written last, and at once. One that was damaged since is not.

    Parquet keeps at its end what is in a file, which is read, and nothing else of it.
    """
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    for path in (out / part_name(number), out / BAD / part_name(number)):
        try:
            if not path.is_file():
                return False
            parquet.read_metadata(path)
        except (OSError, arrow.ArrowException):
            return False
    return True


def score_partition(
    detector: Detector, root: Path, samples: Sequence[Sample], *, number: int, out: Path
) -> tuple[int, int]:
    """Score a partition and write its files; returns how many images got an answer, and how many are bad.

    Raises:
        OSError: a disk that is full.
    """
    spec = detector.preprocessing()

    def answer(sample: Sample) -> dict[str, Any] | str:
        try:
            image, size = open_sized(root, sample, smallest=spec.smallest_decoded)
            pixels = spec.apply(image)
        except (EdgeproofError, OSError) as error:  # one bad file must not end the work
            return str(error)
        cautions = cautions_about(spec, size=size, crops=len(pixels))
        found = detector.conclude(detector.run(pixels), cautions=cautions)
        return {
            **_identity(sample),
            **{name: getattr(found, name) for name in _ONE},
            "probabilities": found.probabilities and list(found.probabilities),
            "caution": "; ".join(found.cautions) or None,
        }

    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for sample, found in zip(samples, in_order(answer, samples, workers=detector.workers), strict=True):
        if isinstance(found, str):
            bad.append({**_identity(sample), "reason": plain(found)})
        else:
            good.append(found)
    _write(bad, _bad_schema(), out / BAD / part_name(number))
    _write(good, _schema(), out / part_name(number))
    return len(good), len(bad)


def write_left_out(left_out: Sequence[Skipped], *, out: Path) -> None:
    """Files that the layout itself left out, as bad images of their own file."""
    rows = [
        {**_identity(Sample(path=item.path, label=UNLABELLED)), "reason": plain(item.reason)}
        for item in left_out
    ]
    _write(rows, _bad_schema(), out / BAD / "left-out.parquet")


def _identity(sample: Sample) -> dict[str, Any]:
    return {
        "path": sample.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        "truth": sample.label if sample.label >= 0 else None,
        "generator": sample.generator or None,
        "group": sample.group or None,
        "split": sample.split or None,
    }


def _fields() -> list[tuple[str, Any]]:
    arrow = require("pyarrow")
    text = arrow.string()
    return [
        ("path", text),
        ("truth", arrow.int32()),
        ("generator", text),
        ("group", text),
        ("split", text),
    ]


def _schema() -> Any:
    arrow = require("pyarrow")
    text, number = arrow.string(), arrow.float64()
    return arrow.schema([
        *_fields(), ("probability", number), ("logit", number), ("label", text), ("generated", arrow.bool_()), ("answer", text),
        ("probabilities", arrow.list_(number)), ("caution", text),
    ])  # fmt: skip


def _bad_schema() -> Any:
    arrow = require("pyarrow")
    return arrow.schema([*_fields(), ("reason", arrow.string())])


def _write(rows: Sequence[dict[str, Any]], schema: Any, path: Path) -> None:
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as fresh:
        parquet.write_table(arrow.Table.from_pylist(list(rows), schema=schema), fresh)
