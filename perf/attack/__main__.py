"""Attack the command line for a while, and tell what survived: ``python -m perf.attack --minutes 10 [--seed N] [--stops N]``.

Inputs of every kind are damaged at random and given to the commands, in forks of one warm process. With ``--stops`` a tiny run
is killed at random moments and gone on with, and must end as one that nobody touched; with ``--requests`` a service gets
damaged ones. The table goes to standard output, the
record to ``--out``, and the files of whatever did not survive to ``--keep``.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from perf.attack import artifacts, data_sets, images, odd_photos, recipes, videos
from perf.attack.table import Table
from perf.attack.tries import attack
from perf.attack.warm import warm_up

AREAS = {
    "images": images.cases, "odd images": odd_photos.cases, "video": videos.cases,
    "manifest": artifacts.manifests, "ONNX": artifacts.onnx_graphs,
    "OpenVINO IR": artifacts.openvino_files, "recipe": recipes.recipes, "--set": recipes.overrides, "weights": recipes.weights,
    "layout": data_sets.layouts, "tar": data_sets.tars, "CSV": data_sets.csv_tables, "Parquet": data_sets.parquet_tables,
}  # fmt: skip

TRAINING = {"recipe", "--set", "weights", "CSV", "Parquet"}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="for damaged inputs (default: 5)")
    parser.add_argument("--inputs", type=int, help="end after so many in each area, too")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: 0)")
    parser.add_argument(
        "--area", action="append", choices=sorted(AREAS), help="attack these alone (repeatable)"
    )
    parser.add_argument("--stops", type=int, default=0, help="how often a run is killed (default: 0)")
    parser.add_argument(
        "--predictions", type=int, default=0, help="over which memory must stay flat (default: 0)"
    )
    parser.add_argument("--requests", type=int, default=0, help="damaged ones to a service (default: 0)")
    parser.add_argument("--largest", action="store_true", help="photos of as many pixels as are allowed")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that did not survive")
    parser.add_argument("--out", type=Path, help="the record, NAME.json")
    given = parser.parse_args()
    table = Table(seed=given.seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attack-") as root:
        if given.minutes:
            for training in (False, True):  # what reads PyTorch comes last: forks are slower then
                names = [name for name in given.area or AREAS if (name in TRAINING) is training]
                seconds = 60 * given.minutes * len(names) / len(given.area or AREAS)
                warm_up(training=training and bool(names))
                areas = {name: AREAS[name](Random(f"{given.seed} {name}")) for name in names}
                attack(areas, table, root=Path(root), seconds=seconds, keep=given.keep, most=given.inputs)
        if given.requests:
            from perf.attack.requests import attack_service

            place = Path(root) / "service"
            place.mkdir()
            attack_service(table, count=given.requests, rng=Random(given.seed), root=place, keep=given.keep)
        if given.predictions:
            from perf.attack.steady import steady

            steady(table, count=given.predictions, root=Path(root))
        if given.largest:
            from perf.attack.largest import largest

            largest(table, root=Path(root))
        if given.stops:
            from perf.attack.stops import stop_runs

            stop_runs(table, count=given.stops, rng=Random(given.seed), root=Path(root))
    table.seconds = round(time.monotonic() - started)
    print(table.text())
    if given.out:
        table.write(given.out)
    sys.exit(1 if table.findings else 0)


if __name__ == "__main__":
    main()
