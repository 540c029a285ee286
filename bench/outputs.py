"""A bench for programs: ``bench.json``, ``bench.csv`` and ``bench.xml``, the last in JUnit's form for CI. Torch-free."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.baseline import title
from bench.records.latency import BenchRecord, Row
from distill.files import write_bytes, write_text

BENCH, CSV, JUNIT = "bench.json", "bench.csv", "bench.xml"
_NESTED = frozenset({"layers", "roof", "metrics"})  # bench.json holds them
_INTERVALS = frozenset({"p50_ci_ms", "speedup_ci"})


def write_outputs(record: BenchRecord, out: Path, *, regressed: Mapping[str, str]) -> list[Path]:
    """Write all three into ``out``, and tell where; ``regressed`` maps titles of rows to what the gate found."""
    record.write(out / BENCH)
    write_text(out / CSV, to_csv(record))
    write_bytes(out / JUNIT, to_junit(record, regressed=regressed))
    return [out / BENCH, out / CSV, out / JUNIT]


def to_csv(record: BenchRecord) -> str:
    """A line a row, with every figure that is a single number; an interval takes two columns."""
    rows = [_flat(row) for row in record.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_junit(record: BenchRecord, *, regressed: Mapping[str, str]) -> bytes:
    """A test case a row: a failed row and a regression are failures, a skipped row is skipped."""
    failed = [row for row in record.rows if row.status == "failed" or title(row) in regressed]
    skipped = [row for row in record.rows if row.status == "skipped" and title(row) not in regressed]
    suite = ElementTree.Element(
        "testsuite",
        name="edgeproof bench",
        tests=str(len(record.rows)),
        failures=str(len(failed)),
        skipped=str(len(skipped)),
        errors="0",
        time=f"{record.seconds:.3f}",
        timestamp=record.created,
    )
    for row in record.rows:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"edgeproof.bench.{row.runtime}", name=title(row), time=_seconds(row)
        )
        if title(row) in regressed:
            ElementTree.SubElement(case, "failure", type="regression", message=regressed[title(row)])
        elif row.status != "ok":
            kind = "failure" if row.status == "failed" else "skipped"
            ElementTree.SubElement(case, kind, message=row.reason or row.status)
    ElementTree.indent(suite)
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def _flat(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.model_dump(mode="json", exclude=set(_NESTED)).items():
        if name in _INTERVALS:
            low, high = value or ("", "")
            found |= {f"{name}_low": low, f"{name}_high": high}
        else:
            found[name] = "" if value is None else value
    return found


def _seconds(row: Row) -> str:
    return f"{(row.p50_ms or 0.0) / 1e3:.6f}"
