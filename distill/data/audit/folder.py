"""``edgeproof data audit``: the same questions to the same splits as a run asks, of a folder that no run has read. Torch-free."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.data.audit.advice import accepting
from distill.data.audit.audit import Progress, audit
from distill.data.audit.report import AuditReport, Check
from distill.data.layouts.walk import one_line
from distill.data.samples import GENERATED, REAL
from distill.errors import EdgeproofError

if TYPE_CHECKING:
    from distill.engine import Engine
    from distill.recipe import DataSettings, GateSettings


def audit_folder(
    path: Path,
    *,
    data: "DataSettings | None" = None,
    gates: "GateSettings | None" = None,
    seed: int = 0,
    labels: Sequence[str] = (),
    engine: "Engine | None" = None,
    progress: Progress | None = None,
) -> tuple[AuditReport, dict[str, Any]]:
    """Audit a data set as ``edgeproof run`` would: split by the same shares, groups and seed.

    Args:
        path: the data set.
        data: a recipe's section ``[data]``; its own path is not looked at.
        gates: limits, and the names of checks that may fail.
        seed: of splits and probes.
        labels: names of K classes; without them, images are real or generated.
        engine: what reads the files; all cores of this machine unless given.
        progress: told of files read.

    Returns:
        The report, and the set's ``problems`` and ``skipped`` files (``path``, ``reason``).

    Raises:
        EdgeproofError: no such data set, or one without readable images of both classes.
    """
    from distill.data.layouts import load_dataset
    from distill.data.scan import scan
    from distill.data.splits import with_splits
    from distill.machine import usable_threads
    from distill.recipe import DataSettings, GateSettings

    settings = data or DataSettings(path=str(path))
    dataset = load_dataset(
        path, layout=settings.layout, columns=settings.columns, labels=labels, groups=settings.groups
    )
    dataset, found = scan(
        dataset, max_bad_share=1.0, workers=usable_threads(), engine=engine, progress=progress
    )
    known = {sample.label for sample in dataset.samples}
    if not labels and not {REAL, GENERATED} <= known:
        state = "only one class has" if known else "neither class has"
        raise EdgeproofError(f"{one_line(path)}: {state} readable images, expected real and generated ones")
    cut = partial(
        with_splits, dataset, valid_share=settings.valid_share, test_share=settings.test_share, seed=seed,
        min_groups=settings.min_groups, labels=labels,
    )  # fmt: skip
    try:
        split = cut()
    except EdgeproofError as error:  # what can be asked of it is asked all the same
        split = cut(wanted=())
        split = replace(split, problems=(*split.problems, f"a run would stop here: {error}"))
    report = audit(
        split,
        found,
        gates=gates or GateSettings(),
        seed=seed,
        labels=labels,
        min_groups=settings.min_groups,
    )
    skipped = [{"path": item.path, "reason": item.reason} for item in dataset.skipped]
    return report, {"problems": list(split.problems), "skipped": skipped}


def print_audit(report: AuditReport, seen: Mapping[str, Any], *, as_json: bool) -> None:
    """For people, or for programs; ``seen`` describes the data set."""
    from distill.data.explore.inspect import printable

    if as_json:
        more = {key: seen[key] for key in ("problems", "skipped")}
        print(json.dumps({**report.model_dump(mode="json"), **more}))
        return
    for check in report.checks:
        print(f"{_outcome(check)}; {printable(check.note)}")
        for first, second in check.examples:
            print(f"       {printable(first)} = {printable(second)}")
        if check.advice:
            print(f"       next: {printable(check.advice)}")
    if report.failed:
        print(f"to accept all that failed: {accepting([check.name for check in report.failed])}")
    for problem in seen["problems"]:
        print(f"problem  {printable(problem)}")
    for item in seen["skipped"]:
        print(f"left out {printable(item['path'])}: {printable(item['reason'])}")


def _outcome(check: Check) -> str:
    if not check.checked:
        return f"--   {check.name}: not checked"
    limit = "" if check.limit is None else f" (limit {check.limit:g})"
    verdict = "FAIL" if not check.passed else "ok  " if limit else "note"
    return f"{verdict} {check.name}: {check.value:.3g}{limit}"
