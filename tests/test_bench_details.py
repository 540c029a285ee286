import itertools
from pathlib import Path

import pytest
from bench_rows import record, row
from deploy_fixture import Deployed, build_deployed

from bench.details import add, add_details, form_of
from bench.details.energy import EnergyCounters, energy_mj
from bench.details.fresh_process import fresh_process
from bench.details.throughput import rate
from bench.latency import Contestant
from bench.limit.limit import Limit
from bench.records.latency import BenchRecord, Peak
from distill.errors import EdgeproofError

PEAKS = tuple(
    Peak(runtime=runtime, precision=precision, threads=1, gmacs_per_s=100)
    for runtime in ("onnxruntime", "openvino")
    for precision in ("fp32", "int8")
)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _known_limit(monkeypatch) -> None:
    """What the peak is has tests of its own."""
    monkeypatch.setattr(add, "measure_limit", lambda rows, **_: Limit(PEAKS, {1: 10.0}))


def packages(folder: Path, *, energies: tuple[int, ...], most: int = 1_000_000) -> Path:
    for number, energy in enumerate(energies):
        for name in (f"intel-rapl:{number}", f"intel-rapl:{number}:0"):
            (folder / name).mkdir(parents=True)
            (folder / name / "energy_uj").write_text(f"{energy}\n", encoding="utf-8")
            (folder / name / "max_energy_range_uj").write_text(f"{most}\n", encoding="utf-8")
    return folder


def spend(folder: Path, number: int, energy: int) -> None:
    (folder / f"intel-rapl:{number}" / "energy_uj").write_text(f"{energy}\n", encoding="utf-8")


def test_energy_is_of_all_packages_and_not_of_their_parts(tmp_path) -> None:
    counters = EnergyCounters(packages(tmp_path, energies=(1_000, 5_000)))
    before = counters.read()
    assert before == [1_000, 5_000]
    spend(tmp_path, 0, 3_000)
    assert counters.spent_mj(before) == pytest.approx(2)
    spend(tmp_path, 1, 6_500)
    assert counters.spent_mj(before) == pytest.approx(3.5)


def test_a_counter_that_started_again_is_understood(tmp_path) -> None:
    counters = EnergyCounters(packages(tmp_path, energies=(999_000,)))
    before = counters.read()
    spend(tmp_path, 0, 4_000)
    assert counters.spent_mj(before) == pytest.approx(5)


def test_energy_of_one_call(tmp_path) -> None:
    counters = EnergyCounters(packages(tmp_path, energies=(0,)))
    calls = itertools.count(1)
    ticks = itertools.count()
    found = energy_mj(
        lambda: spend(tmp_path, 0, next(calls) * 700), counters, seconds=4, clock=lambda: next(ticks)
    )
    assert found == pytest.approx(0.7)


def test_energy_that_cannot_be_read_says_why(tmp_path) -> None:
    with pytest.raises(EdgeproofError, match="has no intel-rapl counters"):
        EnergyCounters(tmp_path / "none")
    folder = packages(tmp_path / "odd", energies=(1,))
    (folder / "intel-rapl:0" / "energy_uj").write_text("secret", encoding="utf-8")
    with pytest.raises(EdgeproofError, match="energy_uj: is not a number"):
        EnergyCounters(folder)
    (folder / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(EdgeproofError, match=r"energy_uj: cannot be read \(No such file"):
        EnergyCounters(folder)
    still = EnergyCounters(packages(tmp_path / "still", energies=(1,)))
    ticks = itertools.count()
    with pytest.raises(EdgeproofError, match="stood still"):
        energy_mj(lambda: None, still, seconds=3, clock=lambda: next(ticks))


def test_a_fresh_process_tells_its_own_memory_and_no_more() -> None:
    ballast = bytearray(b"x" * (300 << 20))  # what a child is forked from must not count
    small = fresh_process(
        "import sys; assert sys.argv[1:] == ['a']; assert sys.stdin.read() == 'b'", "a", feed=b"b"
    )
    large = fresh_process("held = b'x' * (64 << 20)")
    assert small.peak_bytes < len(ballast) // 2
    assert large.peak_bytes > small.peak_bytes + (50 << 20)
    assert small.wall_s > 0


def test_a_fresh_process_that_fails_says_how() -> None:
    with pytest.raises(EdgeproofError, match="ended with exit code 1: ValueError: no such thing"):
        fresh_process("raise ValueError('no such thing')")
    with pytest.raises(EdgeproofError, match="ended with signal SIGKILL"):
        fresh_process("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(EdgeproofError, match="no answer within 0.2 s"):
        fresh_process("import time; time.sleep(60)", timeout_s=0.2)


def test_rate_counts_every_thread() -> None:
    done = [0, 0]

    def run(index: int) -> None:
        done[index] += 1

    ticks = itertools.count()
    found = rate([lambda: run(0), lambda: run(1)], seconds=20, clock=lambda: next(ticks))
    calls = sum(done) - 2  # one of each is not counted
    assert calls > 0
    assert found * 20 <= calls <= found * 30


def test_rows_of_an_artifact_get_their_details(deployed: Deployed, tmp_path) -> None:
    rows = [
        row(), row(runtime="onnxruntime"), row(scope="end_to_end"), row(batch=8),
        row(runtime="torch", precision="fp32"), row(model="other"), row(status="failed", p50_ms=None),
    ]  # fmt: skip
    before = record(*rows, absent={"more": "elsewhere"})
    folders = {form_of(rows[0]): deployed.folder / "int8", form_of(rows[1]): deployed.folder / "int8"}
    steps: list[tuple[int, int]] = []
    found = add_details(
        before,
        folders,
        seconds=60,
        powercap=tmp_path,
        progress=lambda what, done, total: steps.append((done, total)),
    )
    assert (found.peaks, found.memory_gb_per_s) == (PEAKS, 10.0)
    assert found.absent == {"more": "elsewhere", "energy": f"{tmp_path} has no intel-rapl counters"}
    for item in found.rows[:2]:
        assert item.macs == 3 * 16 * 9 * 256 + 16 * 16 * 9 * 256 + 16
        assert item.roof.attainable_ms == pytest.approx(
            max(item.macs / 100e6, item.roof.moved_bytes / 10e6), rel=1e-6
        )
        assert item.roof.share_at_min == pytest.approx(item.roof.attainable_ms / 0.9)
        assert item.layers
        assert item.images_per_s > 0
        assert item.cold_start_ms > 0
        assert item.peak_bytes > 10 << 20
    eight = found.rows[3]
    assert eight.roof.gmacs_per_s == pytest.approx(8 * found.rows[0].roof.gmacs_per_s)
    assert eight.layers == ()
    assert list(found.rows[4:]) == rows[4:]
    assert found.rows[2] == rows[2]
    assert steps == sorted(steps)
    assert steps[-1] == (4, 5)
    assert BenchRecord.parse(found.model_dump(mode="json"), origin="test") == found


def test_what_finds_no_time_is_said_and_roofs_are_there_all_the_same(deployed: Deployed) -> None:
    ticks = itertools.count()
    rows = [row(), row(runtime="onnxruntime")]
    folders = dict.fromkeys(map(form_of, rows), deployed.folder / "int8")
    found = add_details(record(*rows), folders, seconds=3, clock=lambda: next(ticks))
    assert [bool(item.layers) for item in found.rows] == [False, False]
    assert all(item.roof for item in found.rows)
    assert found.absent["cold start"] == "no time was left for it"


def test_a_failure_costs_one_measure_of_one_form(deployed: Deployed, monkeypatch, tmp_path) -> None:
    def killed(folder: Path, form: object, **_: object) -> None:
        raise EdgeproofError("a fresh process ended with signal SIGKILL")

    monkeypatch.setattr(add, "cold_start", killed)
    rows = [row(), row(model="gone")]
    folders = {form_of(rows[0]): deployed.folder / "int8", form_of(rows[1]): tmp_path / "gone"}
    found = add_details(record(*rows), folders, seconds=60)
    assert found.rows[0].layers
    assert found.rows[0].cold_start_ms is None
    assert found.rows[1] == rows[1]
    assert found.absent["cold start"] == "a fresh process ended with signal SIGKILL"  # of both
    assert found.absent["layers"].startswith("gone, openvino, int8, 32×32: ")
    assert "no such file" in found.absent["roof"]


def test_several_models_without_time_are_counted(deployed: Deployed) -> None:
    ticks = itertools.count()
    rows = [row(model=name) for name in "abcd"]
    folders = dict.fromkeys(map(form_of, rows), deployed.folder / "int8")
    found = add_details(record(*rows), folders, seconds=4.5, clock=lambda: next(ticks))
    assert found.absent["layers"] == "no time was left for it (2 of 4 models)"
    assert [bool(item.layers) for item in found.rows] == [True, True, False, False]


def test_without_peaks_the_rest_stands(deployed: Deployed, monkeypatch) -> None:
    def broken(rows: object, **_: object) -> Limit:
        raise MemoryError

    monkeypatch.setattr(add, "measure_limit", broken)
    found = add_details(record(row()), {form_of(row()): deployed.folder / "int8"}, seconds=60)
    assert (found.peaks, found.memory_gb_per_s) == ((), None)
    assert found.absent["peaks"] == "MemoryError"
    assert found.absent["roof"] == "no peak of openvino in int8: it was not measured"
    assert found.rows[0].layers


def test_a_contestant_and_its_row_are_of_one_form() -> None:
    contestant = Contestant(
        model="tiny", runtime="openvino", precision="int8", quantizer="nncf", input_size=32, threads=2,
        make=lambda: lambda: None,
    )  # fmt: skip
    assert form_of(contestant) == form_of(row(quantizer="nncf", threads=1, scope="end_to_end"))
    assert str(form_of(contestant)) == "tiny, openvino, int8 (nncf), 32×32"
