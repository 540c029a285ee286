"""What a data set of any size costs, step by step, reckoned from the records of what was measured.

``python -m perf.scale_plan --rows 10_000_000 --core-hour 0.04 --gpu-hour 3`` prints the table of ``docs/scale.md``. Prices
are assumptions: put in your own. Every figure is a measured one times rows; none is guessed.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Step:
    """One step's cost a row.

    Attributes:
        name: what is done.
        core_us: microseconds of one core.
        gpu_us: microseconds of one GPU.
        disk_bytes: written and kept.
        memory_bytes: held at once by one process, beyond what it needs for no row.
        spread: over how many cores it goes: ``1``, or any number (``n``).
        record: where the figures are from.
    """

    name: str
    core_us: float = 0.0
    gpu_us: float = 0.0
    disk_bytes: float = 0.0
    memory_bytes: float = 0.0
    spread: str = "1"
    record: str = ""


def steps() -> list[Step]:
    """Of the way from files to a scored set, for JPEG photographs of 256 x 256 pixels."""
    listed, photos = _rows_record(), _record("data-scale-256")
    source = f"{listed['rows']:,} rows listed"
    decoding = _record("data-throughput")["photo_sizes"]["256"]["pipelines"]["center_crop, augmented"]
    gpu, scoring = _record("gpu-training")["student_step"]["students"], _record("scale-ray")
    student = gpu["small_cnn"]
    asking_us = 1e6 / student["live"]["images_per_s"] - 1e6 / student["cached"]["images_per_s"]
    loading_us = 2e6 / decoding["images_per_s_p50"]  # two processes made that many
    alone = scoring["median_images_per_second"]["local 1"]
    of = {
        name: {
            "core_us": found["seconds"] / listed["rows"] * 1e6,
            "memory_bytes": found["peak_mb"] * 2**20 / listed["rows"],
        }
        for name, found in listed["steps"].items()
    }
    return [
        Step("list a manifest", **of["load the manifest"], record=source),
        Step(
            "scan: decode, hash, describe", core_us=_core_us(photos, "scan"), disk_bytes=101, memory_bytes=101,
            spread="n", record="data-scale-256",
        ),
        Step("splits by group", **of["split"], record=source),
        Step("near and exact duplicates", **of["of the audit, duplicates"], record=source),
        Step(
            "teacher's outputs, one view", core_us=loading_us, gpu_us=asking_us, disk_bytes=12, spread="n",
            record="gpu-training, data-throughput",
        ),
        Step(
            "one epoch of a student", core_us=loading_us, gpu_us=1e6 / student["cached"]["images_per_s"], spread="n",
            record="gpu-training, data-throughput",
        ),
        Step(
            "score with the student", core_us=1e6 / alone, disk_bytes=scoring["bytes_a_row"], spread="n", record="scale-ray"
        ),
    ]  # fmt: skip


def table(found: list[Step], *, rows: int, core_hour: float, gpu_hour: float) -> str:
    """Markdown: hours, disk, memory and money of each step."""
    lines = [
        "| step | core-hours | GPU-hours | disk | memory | cores | money | measured in |",
        "|---" * 8 + "|",
    ]
    for step in found:
        core_h, gpu_h = step.core_us * rows / 3.6e9, step.gpu_us * rows / 3.6e9
        money = core_h * core_hour + gpu_h * gpu_hour
        gpu = f"{gpu_h:.2f}" if gpu_h else ""
        cells = [
            step.name, f"{core_h:.2f}", gpu, _size(step.disk_bytes * rows), _size(step.memory_bytes * rows), step.spread,
            f"{money:.2f}", step.record,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _core_us(record: dict[str, Any], step: str) -> float:
    return float(record["steps"][step]["seconds"] * record["workers"] / record["rows"] * 1e6)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count else ""


def _rows_record() -> dict[str, Any]:
    """The largest list that was measured."""
    return _record("data-scale-10m" if (RESULTS / "data-scale-10m.json").is_file() else "data-scale-1m")


def _record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of a core for an hour")
    parser.add_argument("--gpu-hour", type=float, default=3.0, help="price of a GPU for an hour")
    options = parser.parse_args()
    print(table(steps(), rows=options.rows, core_hour=options.core_hour, gpu_hour=options.gpu_hour))


if __name__ == "__main__":
    main()
