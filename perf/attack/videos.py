"""Damaged clips: containers and codecs that FFmpeg writes itself, and what only looks like a clip."""

import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from distill.optional import require
from perf.attack.case import Case
from perf.attack.mutate import damage_bytes

TOGETHER = 10  # clips of a command
_KINDS = (
    ("mp4", "mp4", "mpeg4"), ("mov", "mov", "mjpeg"), ("mkv", "matroska", "ffv1"), ("webm", "webm", "libvpx"),
    ("avi", "avi", "mjpeg"), ("mpg", "mpeg", "mpeg1video"), ("ts", "mpegts", "mpeg2video"), ("flv", "flv", "flv1"),
    ("wmv", "asf", "wmv2"), ("3gp", "3gp", "mpeg4"), ("mov", "mov", "png"), ("avi", "avi", "rawvideo"),
)  # fmt: skip
_PIXELS = {"ffv1": "bgr0", "mjpeg": "yuvj420p", "png": "rgb24", "rawvideo": "bgr24"}
_OTHERS = (
    b"ffconcat version 1.0\nfile whole.mp4\n", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nwhole.mp4\n#EXT-X-ENDLIST\n",
    b"", b"\x1b[2J text" * 99, b"GIF89a" + b"\0" * 99, b"RIFF\xff\xff\xff\xffAVI LIST", b"\x1aE\xdf\xa3" + b"\xff" * 64,
)  # fmt: skip
_BIG = b"\x00\x00\x00\x01\x7f\xff\xff\xff\xff\xff\xff\xff"  # counts, rates and sizes at their ends


def cases(rng: Random) -> Iterator[Case]:
    """Folders of damaged clips, without an end."""
    whole = originals()
    while True:
        clips = []
        for _ in range(TOGETHER):
            suffix, content = rng.choice(whole)
            if rng.random() < 0.05:
                damaged = rng.choice(_OTHERS)
            elif rng.random() < 0.4:
                damaged = _other_numbers(content, rng)
            else:
                damaged = damage_bytes(content, rng, most=rng.choice((1, 2, 8)))
            clips.append((suffix, damaged))
        yield _case(clips, every=rng.random() < 0.3)


@cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """Suffix and content of whole clips: even and odd time stamps, with sound and without, and sound alone."""
    found = []
    for suffix, container, codec in _KINDS:
        for times in ((0, 1, 2, 3, 4, 5, 6, 7), (0, 1, 9, 10, 40, 41)):
            found.append((suffix, _clip(container, codec, times)))
    return (*found, ("mp4", _sound()))


def _clip(container: str, codec: str, times: Sequence[int]) -> bytes:
    av = require("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, _PIXELS.get(codec, "yuv420p")
        for number, time in enumerate(times):
            picture = np.full((32, 48, 3), 30 * number % 256, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = time
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def _sound() -> bytes:
    av = require("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def _other_numbers(content: bytes, rng: Random) -> bytes:
    """The same length, with extreme numbers in a few places of the first kilobyte or the last: where the tables are."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        width, edge = rng.choice((1, 2, 4, 8)), min(len(found), 1024)
        start = rng.randrange(edge) if rng.random() < 0.5 else len(found) - 1 - rng.randrange(edge)
        place = rng.randrange(len(_BIG) - width)
        found[start : start + width] = _BIG[place : place + width]
    return bytes(found)


def _case(clips: Sequence[tuple[str, bytes]], *, every: bool) -> Case:
    def write(folder: Path) -> Sequence[str]:
        (folder / "clips").mkdir()
        for number, (suffix, content) in enumerate(clips):
            (folder / "clips" / f"{number}.{suffix}").write_bytes(content)
        sampling = ["--every", "2"] if every else ["--frames", "8"]
        options = ["--json", "--runtime", "onnxruntime", "--threads", "1", "--csv", str(folder / "a.csv")]
        return ["predict", "simulated-64", str(folder / "clips"), *options, *sampling]

    def alone() -> Sequence[Case]:
        return [_case([clip], every=every) for clip in clips] if len(clips) > 1 else ()

    return Case("video", len(clips), write, seconds=max(5.0, 1.0 * len(clips)), alone=alone, answers="a.csv")
