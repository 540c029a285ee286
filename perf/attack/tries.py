"""Case after case until the time is up, each area in its turn."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from perf.attack.case import Case, Outcome
from perf.attack.table import Table
from perf.attack.warm import run_cases

_TOGETHER = 10  # commands of a fork
_SHARE = {
    "images": 2,
    "odd images": 2,
}  # of the time, where the others have one: most of what comes from elsewhere


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
        name = min(left, key=lambda name: table.seconds_of(name) / _SHARE.get(name, 1))
        first = next(areas[name])
        several = 1 if first.alone else _TOGETHER if most is None else min(_TOGETHER, most)
        cases = [first, *islice(areas[name], several - 1)]
        for case, outcome in zip(cases, run_cases(cases, root=root), strict=True):
            _note(case, outcome, table, root=root, keep=keep)


def _note(case: Case, outcome: Outcome, table: Table, *, root: Path, keep: Path | None) -> None:
    """Count it; of several inputs each is tried by itself, to find the one that is to blame."""
    found = [(case, outcome)]
    if outcome.finding and case.alone and (single := case.alone()):
        alone = list(zip(single, [run_cases([one], root=root)[0] for one in single], strict=True))
        found = alone if any(one.finding for _, one in alone) else found  # else only together
    for one, said in found:
        table.add(one, said)
        if said.finding:
            _tell(one, said, number=len(table.findings), keep=keep)


def _tell(case: Case, outcome: Outcome, *, number: int, keep: Path | None) -> None:
    print(f"{number}: {case.area}: {outcome.finding}", file=sys.stderr, flush=True)
    if keep is None:
        return
    folder = keep / f"{number:04}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    arguments = case.write(folder)
    (folder / "command.txt").write_text("\n".join(map(str, arguments)), errors="backslashreplace")
    (folder / "error.txt").write_text(
        f"{outcome.finding}\n{outcome.error[-20_000:]}", errors="backslashreplace"
    )
