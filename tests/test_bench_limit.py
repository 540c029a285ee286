import itertools
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from bench_rows import record, row

from bench.limit import peak as peak_module
from bench.limit.bandwidth import last_level_cache, memory_gb_per_s
from bench.limit.convolutions import DEPTH, ConvolutionShape, convolution_chain, sample_input
from bench.limit.limit import Limit, measure_limit
from bench.limit.peak import measure_peaks, refusal
from bench.limit.roof import beyond_roof, roof_of
from bench.limit.runners import Setting
from bench.limit.traffic import Traffic
from bench.records.latency import Peak
from deploy.profilers import Operator
from deploy.timing import Timer
from distill.errors import EdgeproofError

SMALL = ConvolutionShape(16, 3, 8)
SETTINGS = [
    Setting("onnxruntime", "int8", 1),
    Setting("onnxruntime", "fp32", 1),
    Setting("openvino", "int8", 1),
    Setting("openvino", "fp32", 1),
]


def test_peaks_of_both_runtimes_are_of_the_precision_they_say() -> None:
    found = measure_peaks(SETTINGS, budget_s=0, shapes=[SMALL])
    assert [(peak.runtime, peak.precision, peak.threads) for peak in found] == SETTINGS
    for peak in found:
        assert peak.reason is None
        assert peak.gmacs_per_s > 0
        assert peak.shape == "3×3 convolution, 16 → 16 channels, at 8×8"


def test_a_peak_whose_convolutions_ran_in_float_is_refused_as_int8(monkeypatch) -> None:
    monkeypatch.setattr(
        peak_module, "convolution_chain", lambda shape, *, int8: convolution_chain(shape, int8=False)
    )
    for peak in measure_peaks([SETTINGS[0], SETTINGS[2]], budget_s=0, shapes=[SMALL]):
        assert peak.gmacs_per_s is None
        assert f"{DEPTH} of {DEPTH} convolutions were computed in fp32, expected int8" in peak.reason


def test_the_fastest_shape_that_the_profiler_vouches_for_is_the_peak(monkeypatch) -> None:
    """Of two, one leaves a layer in float."""
    other = ConvolutionShape(16, 1, 8)

    def profile(path: Path, **_: object) -> list[Operator]:
        precision = "fp32" if path.name.startswith("16-3") else "int8"
        return [Operator("c", "Conv", 1.0, layer="int8", precision=precision)] * DEPTH

    monkeypatch.setattr(peak_module, "profile_model", profile)
    (found,) = measure_peaks(SETTINGS[:1], budget_s=0, shapes=[SMALL, other])
    assert found.shape == str(other)


def test_a_profile_must_show_every_convolution() -> None:
    layer = Operator("c", "Convolution", 1.0, layer="int8", precision="int8")
    assert refusal([layer] * DEPTH, "int8") is None
    assert refusal([layer, Operator("r", "Reorder", 1.0)], "int8", depth=1) is None
    assert refusal([layer] * 2, "int8", depth=3) == "the profile shows 2 convolutions, expected 3"
    assert refusal([layer], "bf16", depth=1) == "1 of 1 convolutions were computed in int8, expected bf16"


def test_what_cannot_be_measured_says_why(monkeypatch) -> None:
    torch, bf16, int8 = measure_peaks(
        [Setting("torch", "fp32", 1), Setting("onnxruntime", "bf16", 1), SETTINGS[0]],
        budget_s=0,
        shapes=[SMALL],
    )
    assert torch.reason == "the peak is measured through ONNX Runtime and OpenVINO alone"
    assert bf16.reason == "onnxruntime computes in fp32 or int8 on a CPU, not in bf16"
    assert (torch.gmacs_per_s, bf16.gmacs_per_s, int8.reason) == (None, None, None)

    def missing(*_: object, **__: object) -> bytes:
        raise EdgeproofError("package onnx cannot be imported (No module named 'onnx')")

    monkeypatch.setattr(peak_module, "convolution_chain", missing)
    (found,) = measure_peaks(SETTINGS[:1], budget_s=0)
    assert (found.gmacs_per_s, found.reason) == (
        None,
        "package onnx cannot be imported (No module named 'onnx')",
    )


@pytest.mark.parametrize(("ms", "doubtful"), [(0.9, True), (0.5, False)])
def test_threads_that_add_nothing_make_a_doubtful_peak(monkeypatch, ms: float, doubtful: bool) -> None:
    """One thread takes a millisecond; those that do not add up are timed once more."""
    raced: list[list[int]] = []

    def timed(entries: list, **_: object) -> None:
        raced.append([entry.setting.threads for entry in entries])
        for entry in entries:
            entry.min_ms = 1.0 if entry.setting.threads == 1 else ms

    monkeypatch.setattr(peak_module, "_time", timed)
    (found,) = measure_peaks([Setting("openvino", "int8", 2)], shapes=[SMALL])
    assert raced == [[2, 1], [2, 1], [2] if doubtful else []]
    assert found.gmacs_per_s == pytest.approx(SMALL.macs * DEPTH / ms / 1e6)
    told = "doubtful: 2 threads are only 1.1 times as fast as one; other programs ran, or the threads share a core"
    assert found.reason == (told if doubtful else None)


def test_a_chain_keeps_its_numbers_in_range() -> None:
    """Neither zeros, for which some kernels take a short way, nor all at the end of the range."""
    for int8 in (False, True):
        session = onnxruntime.InferenceSession(convolution_chain(SMALL, int8=int8))
        (found,) = session.run(None, {"x": sample_input(SMALL)})
        assert found.shape == (1, 16, 8, 8)
        assert 0.05 < np.mean(found > 0) < 0.95
        assert np.mean(found >= 255 * 0.02) < 0.5


def test_roof_is_the_slower_of_computing_and_moving() -> None:
    peak = Peak(runtime="openvino", precision="int8", threads=1, gmacs_per_s=200)
    model = Traffic(macs=100_000_000, weight_bytes=2_000_000, activation_bytes=1_000_000)
    found = roof_of(model, p50_ms=1.0, min_ms=0.8, peak=peak, gb_per_s=10)  # 0.5 ms and 0.3 ms
    assert (found.bound, found.moved_bytes) == ("compute", 3_000_000)
    assert found.attainable_ms == pytest.approx(0.5)
    assert (found.share, found.share_at_min) == (pytest.approx(0.5), pytest.approx(0.625))
    assert found.gmacs_per_s == pytest.approx(100)
    slow = roof_of(model, p50_ms=1.0, peak=peak, gb_per_s=4)
    assert (slow.bound, slow.attainable_ms) == ("memory", pytest.approx(0.75))
    unknown = roof_of(model, p50_ms=1.0, peak=peak, gb_per_s=None)
    assert (unknown.bound, unknown.attainable_ms) == ("compute", pytest.approx(0.5))
    many = roof_of(model, p50_ms=4.0, peak=peak, gb_per_s=10, batch=4)
    assert (many.attainable_ms, many.moved_bytes) == (pytest.approx(2.0), 6_000_000)
    assert roof_of(model, p50_ms=1.0, peak=peak.model_copy(update={"gmacs_per_s": None}), gb_per_s=1) is None


def test_a_row_has_the_roof_of_its_own_runtime_precision_and_threads() -> None:
    model = Traffic(macs=100_000_000, weight_bytes=0, activation_bytes=0)
    peaks = [
        Peak(runtime="openvino", precision="int8", threads=threads, gmacs_per_s=100.0 * threads)
        for threads in (1, 2)
    ]
    none = Peak(runtime="openvino", precision="bf16", threads=1, reason="no bf16 here")
    limit = Limit((*peaks, none), {1: 10.0, 2: 15.0})
    assert limit.most_gb_per_s == 15.0
    assert limit.roof(row(threads=1), model).attainable_ms == pytest.approx(1.0)
    assert limit.roof(row(threads=2), model).attainable_ms == pytest.approx(0.5)
    with pytest.raises(EdgeproofError, match="no peak of openvino in bf16: no bf16 here"):
        limit.roof(row(precision="bf16"), model)
    with pytest.raises(EdgeproofError, match="no peak of onnxruntime in int8: it was not measured"):
        limit.roof(row(runtime="onnxruntime"), model)


def test_rows_beyond_their_roof_are_told() -> None:
    peak = Peak(runtime="openvino", precision="int8", threads=1, gmacs_per_s=100)
    model = Traffic(macs=100_000_000, weight_bytes=0, activation_bytes=0)  # a millisecond
    rows = [
        row(p50_ms=time, roof=roof_of(model, p50_ms=time, peak=peak, gb_per_s=None)) for time in (0.9, 1, 2)
    ]
    assert [item.p50_ms for item in beyond_roof(record(*rows))] == [0.9]


def test_no_rows_need_no_peak() -> None:
    assert measure_limit([row(runtime="torch", precision="fp32")], budget_s=0) == Limit()


def test_bandwidth_counts_what_is_read_and_written() -> None:
    """A clock by which every pass takes a second."""
    ticks = itertools.count()
    timer = Timer(clock=lambda: next(ticks), sleep=lambda _: None)
    assert memory_gb_per_s(2, array_bytes=8_000, timer=timer) == pytest.approx(24e-6)


def test_the_largest_cache_is_the_last(tmp_path) -> None:
    for number, size in enumerate(("32K", "1024K", "32M", "odd")):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(f"{size}\n", encoding="utf-8")
    assert last_level_cache(tmp_path) == 32 * 2**20
    assert last_level_cache(tmp_path / "nowhere") == 0
