import io

from bench_rows import record, row
from PIL import Image

from bench.limit.roof import roof_of
from bench.limit.traffic import Traffic
from bench.records.latency import Peak, Row
from bench.report.figures_roofline import roofline

PEAKS = tuple(
    Peak(runtime=runtime, precision=precision, threads=threads, gmacs_per_s=speed * threads)
    for runtime, precision, speed in (
        ("openvino", "int8", 250), ("onnxruntime", "int8", 220), ("openvino", "bf16", 130), ("openvino", "fp32", 65),
    )
    for threads in (1, 2)
)  # fmt: skip


def roofed(*, ms: float, macs: int = 60_000_000, **given: object) -> Row:
    plain = row(threads=2, p50_ms=ms, **given)
    peak = next(
        p for p in PEAKS if (p.runtime, p.precision, p.threads) == (plain.runtime, plain.precision, 2)
    )
    model = Traffic(macs, 600_000, 700_000)
    return plain.model_copy(update={"roof": roof_of(model, p50_ms=ms, peak=peak, gb_per_s=30)})


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size


def test_the_best_int8_row_of_the_most_threads_is_the_finding() -> None:
    rows = [
        roofed(ms=0.3), roofed(ms=0.2, model="fast"), roofed(ms=0.5, precision="fp32"), roofed(ms=0.4, precision="bf16"),
        row(p50_ms=0.001, roof=roofed(ms=0.2).roof),
    ]  # fmt: skip
    found = roofline(record(*rows, peaks=PEAKS, memory_gb_per_s=30.0))
    assert found.name == "roofline"
    assert found.alt == "With 2 threads, fast INT8 32² in OpenVINO reaches 60% of what this CPU can do"
    assert size(found.png)[0] > 1000
    other = roofline(record(*rows, peaks=PEAKS, memory_gb_per_s=30.0), chosen="tiny")
    assert other.alt == "With 2 threads, tiny INT8 32² in OpenVINO reaches 40% of what this CPU can do"


def test_a_row_beyond_its_roof_is_said() -> None:
    found = roofline(record(roofed(ms=0.1), peaks=PEAKS, memory_gb_per_s=30.0))
    assert found.alt.endswith(
        "reaches 120% of what this CPU can do; 1 row is beyond the measured limit: it is too low, or the caches hold "
        "the model"
    )


def test_a_doubtful_peak_is_said() -> None:
    peaks = [peak.model_copy(update={"reason": "doubtful: ..."}) for peak in PEAKS]
    found = roofline(record(roofed(ms=0.3), peaks=peaks, memory_gb_per_s=30.0))
    assert found.alt.endswith(
        "reaches 40% of what this CPU can do; the limit is doubtful, other programs ran"
    )


def test_without_bandwidth_or_with_many_rows_it_still_draws() -> None:
    many = [
        roofed(ms=0.2 + number / 100, model=f"a model with a long name {number}$", input_size=32 + number % 2)
        for number in range(40)
    ]
    assert size(roofline(record(*many, peaks=PEAKS)).png)[0] > 1000


def test_no_row_with_a_roof_gives_no_picture() -> None:
    assert roofline(record(row(), peaks=PEAKS, memory_gb_per_s=30.0)) is None
