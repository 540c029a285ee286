"""Case after case until the time is up, each area in its turn."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from perf.attack.case import Case
from perf.attack.table import Table
from perf.attack.warm import run_case


def attack(
    areas: Mapping[str, Iterator[Case]], table: Table, *, root: Path, seconds: float, keep: Path | None = None,
    most: int | None = None,
) -> None:  # fmt: skip
    """Attack for ``seconds``, or until ``most`` inputs in each area; what is found is told as it comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left = [name for name in areas if most is None or table.tried(name) < most]
        if not left:
            return
        name = min(left, key=table.seconds_of)
        case = next(areas[name])
        _try(case, table, root=root, keep=keep)


def _try(case: Case, table: Table, *, root: Path, keep: Path | None) -> None:
    outcome = run_case(case, root=root)
    blamed = list(case.alone()) if outcome.finding and case.alone else []
    if not blamed:
        table.add(case, outcome)
        if outcome.finding:
            _tell(case, outcome.finding, outcome.error, table=table, root=root, keep=keep)
        return
    found = [(one, run_case(one, root=root)) for one in blamed]
    if not any(alone.finding for _, alone in found):  # only together
        table.add(case, outcome)
        _tell(case, outcome.finding, outcome.error, table=table, root=root, keep=keep)
        return
    for one, alone in found:
        table.add(one, alone)
        if alone.finding:
            _tell(one, alone.finding, alone.error, table=table, root=root, keep=keep)


def _tell(case: Case, finding: str, error: str, *, table: Table, root: Path, keep: Path | None) -> None:
    number = len(table.findings)
    print(f"{number}: {case.area}: {finding}", file=sys.stderr, flush=True)
    if keep is None:
        return
    folder = keep / f"{number:04}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    arguments = case.write(folder)
    (folder / "command.txt").write_text("\n".join(map(str, arguments)), errors="backslashreplace")
    (folder / "error.txt").write_text(f"{finding}\n{error[-20_000:]}", errors="backslashreplace")
