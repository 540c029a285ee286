"""The gate against an earlier bench, and what programs read of one."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from bench.baseline import compare_to, parse_limit, title
from bench.listing import bench_table
from bench.outputs import to_csv, to_junit
from bench.records.latency import BenchRecord, Row
from bench.records.machine import Machine
from distill.errors import EdgeproofError

MACHINE = Machine.here()


def row(p50=1.0, *, reach=0.02, **update):
    identity = {"model": "a", "runtime": "openvino", "precision": "int8", "threads": 1, "input_size": 64}
    times = {
        "samples": 100, "min_ms": p50 * 0.9, "p50_ms": p50, "p90_ms": p50 * 1.1, "p99_ms": p50 * 1.2,
        "p50_ci_ms": (p50 * (1 - reach), p50 * (1 + reach)),
    }  # fmt: skip
    return Row(**identity | times | update)


def record(*rows, **update):
    return BenchRecord(machine=MACHINE, rows=rows, **update)


def gate(old, new, limit=0.1):
    return compare_to(record(*old), record(*new), limit=limit)


def test_slower_beyond_the_limit_and_the_noise_is_a_regression():
    found = gate([row(1.0)], [row(1.2)])
    assert found.regressed == {title(row()): "p50 1.200 ms, was 1.000 ms: +20%, at most +10%"}


@pytest.mark.parametrize(
    ("new", "limit"),
    [
        (row(1.09), 0.1),
        (row(1.2), 0.25),
        (row(1.2, reach=0.2), 0.1),
        (row(1.5, min_ms=0.9), 0.1),
        (row(0.5), 0.0),
    ],
    ids=["within the limit", "within a wider one", "within the noise", "on a busier machine", "faster"],
)
def test_anything_else_is_none(new, limit):
    assert gate([row(1.0)], [new], limit=limit).regressed == {}


def test_a_row_that_now_fails_has_regressed():
    failed = row(1.0, status="failed", reason="no memory", p50_ms=None)
    assert "failed, was 1.000 ms (no memory)" in gate([row(1.0)], [failed]).regressed[title(failed)]


def test_a_row_that_is_now_skipped_is_said_and_not_compared():
    skipped = row(1.0, status="skipped", reason="the time limit left no time for it", p50_ms=None)
    found = gate([row(1.0)], [skipped])
    assert found.regressed == {} and found.rows == 0 and "the time limit" in found.notes[0]


def test_only_the_same_row_is_compared_and_the_others_are_said():
    found = gate([row(1.0), row(1.0, threads=2)], [row(1.0), row(9.0, input_size=224), row(9.0, batch=8)])
    assert found.regressed == {} and found.rows == 1
    assert [note.rpartition(": ")[2] for note in found.notes] == [
        "not in the baseline", "not in the baseline", "in the baseline alone",
    ]  # fmt: skip


def test_too_few_rounds_tell_nothing():
    found = gate([row(1.0, p50_ci_ms=None)], [row(9.0)])
    assert found.regressed == {} and "too few rounds" in found.notes[0]


def test_another_machine_or_rules_are_said():
    other = MACHINE.model_copy(update={"cpu_model": "another"})
    found = compare_to(BenchRecord(machine=other, rows=(), rules="mlperf"), record(), limit=0.1)
    assert "another CPU: another" in found.notes[0] and "rules of mlperf" in found.notes[1]


@pytest.mark.parametrize(("text", "limit"), [("10%", 0.1), ("0.25", 0.25), (" 5 %", 0.05), ("0", 0.0)])
def test_limits(text, limit):
    assert parse_limit(text) == pytest.approx(limit)


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf%", ""])
def test_no_limits(text):
    with pytest.raises(EdgeproofError, match="--max-regression .*: expected a share"):
        parse_limit(text)


def rows():
    return (
        row(1.0, speedup_vs_resnet18_eager=20.0, speedup_ci=(19.0, 21.0), speedup_claimed=True),
        row(1.3, threads=2, noisy=True, speedup_vs_resnet18_eager=2.0, speedup_ci=(3.0, 4.0), speedup_disagrees=True),
        Row(model="b", runtime="onnxruntime", precision="fp32", threads=1, input_size=224, status="failed", reason="no <memory>"),
        Row(model="c", runtime="openvino", precision="bf16", threads=1, input_size=224, status="skipped", reason="no bf16"),
    )  # fmt: skip


def test_junit_has_a_case_a_row_and_failures_are_failed_rows_and_regressions():
    slow = title(rows()[1])
    suite = ElementTree.fromstring(to_junit(record(*rows()), regressed={slow: "p50 1.3 ms, was 1.0"}))
    assert suite.attrib["tests"] == "4" and suite.attrib["failures"] == "2" and suite.attrib["skipped"] == "1"
    cases = {case.attrib["name"]: case for case in suite}
    assert len(cases) == 4
    assert cases[slow].find("failure").attrib["message"] == "p50 1.3 ms, was 1.0"
    assert cases[title(rows()[2])].find("failure").attrib["message"] == "no <memory>"
    assert cases[title(rows()[3])].find("skipped") is not None
    assert len(cases[title(rows()[0])]) == 0 and cases[title(rows()[0])].attrib["time"] == "0.001000"


def test_csv_has_a_line_a_row_and_two_columns_an_interval():
    found = list(csv.DictReader(io.StringIO(to_csv(record(*rows())))))
    assert len(found) == 4
    assert (found[0]["p50_ms"], found[0]["speedup_ci_low"], found[0]["speedup_ci_high"]) == (
        "1.0",
        "19.0",
        "21.0",
    )
    assert found[2]["p50_ms"] == "" and found[2]["reason"] == "no <memory>"
    assert "layers" not in found[0]


def shown(found):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(bench_table(found))
    return console.export_text()


def test_the_table_says_the_size_of_every_row_and_why_rows_have_no_times():
    text = shown(record(*rows(), absent={"speedup_vs_resnet18_eager": "torch is not installed"}))
    assert text.count("64²") == 2 and "224²" in text
    assert "20.0 [19, 21]" in text and "(2.0 [3, 4]!)" in text
    assert "~1.300" in text and "failed, no <memory>" in text and "skipped, no bf16" in text
    assert "torch is not installed" in text


def test_by_mlperfs_rules_the_90th_percentile_comes_first():
    text = shown(record(*rows(), rules="mlperf"))
    assert text.index("p90") < text.index("p50")
