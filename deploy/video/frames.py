"""Frames of a clip by PyAV, as few decoded as it takes and one held at a time. Torch-free.

Frames are chosen by their time stamps, never by a frame rate, so that a variable one changes nothing. What a display matrix
turns or mirrors is turned or mirrored. A file is read as a video or not at all: FFmpeg also knows playlists, which have it read
other files, and takes names such as ``http:clip.mp4`` for addresses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import EdgeproofError
from distill.optional import require
from distill.preprocess import PIXELS_SETTING, Pixels, most_pixels

_SEEK_S = 2.0  # a gap that is rather jumped over than decoded through
_ODD = 1e-3  # s: what rounding does to time stamps
_PLACES = 4  # at least
_MOST = 1_000_000
_MISSING_S = 1.0  # less than the header promises
_LARGE = 2**23  # pixels of a frame: 4K
_MARGIN = 2**20  # pixels by which FFmpeg rounds the sides up
_ONLY = {
    "format_whitelist": "mov,matroska,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg",  # what files of our suffixes hold
    "protocol_whitelist": "file",
}


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are looked at.

    Attributes:
        frames: how many, in bursts that lie evenly over the clip.
        burst: neighbours in a burst, about: what flickers shows between neighbours alone.
        every: every n-th frame from first to last instead.
    """

    frames: int = 64
    burst: int = 8
    every: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("frames", self.frames), ("burst", self.burst), ("every", self.every)):
            if value is not None and not 1 <= value <= _MOST:
                bound = "at least 1" if value < 1 else f"at most {_MOST}"
                raise EdgeproofError(f"{name}: found {value}, expected {bound}")


@dataclass(frozen=True)
class Frame:
    """One decoded frame: seconds from the clip's start, number of its burst, and upright RGB uint8 ``[H, W, 3]``."""

    time_s: float
    burst: int
    pixels: Pixels


@dataclass
class Clip:
    """An open clip, and what became of it while it was read.

    Attributes:
        duration_s: by its header or its packets; 0 if neither tells.
        cautions: what to bear in mind, complete once the frames have been read.
    """

    path: Path
    container: Any
    stream: Any
    duration_s: float
    cautions: list[str] = field(default_factory=list)
    _reached: float = 0.0
    _ended: bool = False
    _damage: str | None = None

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Decode what is asked for, in order of time.

        Raises:
            EdgeproofError: not one frame can be decoded.
        """
        found = self._every(sampling.every) if sampling.every else self._bursts(sampling)
        first = next(found, None)
        if first is None:
            raise EdgeproofError(f"{self.path}: not one frame can be decoded, expected a whole video")
        yield from chain([first], found)
        if self._damage is not None or (self._ended and self.duration_s - self._reached > _MISSING_S):
            reason = f" ({self._damage})" if self._damage else ""
            self.cautions.append(
                f"cut short or damaged: pictures up to {self._reached:.1f} of {self.duration_s:.1f} s{reason}"
            )

    def _every(self, step: int) -> Iterator[Frame]:
        for number, (time_s, frame) in enumerate(self._decoded()):
            if number % step == 0:
                yield Frame(time_s, 0, _upright(frame))

    def _bursts(self, sampling: Sampling) -> Iterator[Frame]:
        """So many frames from each of the places on; a place that the last burst has passed goes on from there."""
        decoded, now = self._decoded(), -np.inf
        for number, (place, size) in enumerate(bursts_of(sampling, self.duration_s)):
            if number and place - now > _SEEK_S and self._seek(place):
                decoded = self._decoded()
            taken = 0
            for time_s, frame in decoded:
                if time_s <= now or time_s < place - _ODD:
                    continue
                now, taken = time_s, taken + 1
                yield Frame(time_s, number, _upright(frame))
                if taken == size:
                    break

    def _decoded(self) -> Iterator[tuple[float, Any]]:
        """Time from the start, and the frame; ends where the file is damaged."""
        av = require("av")
        start = float((self.stream.start_time or 0) * self.stream.time_base)
        time_s, step = 0.0, 1 / float(self.stream.average_rate or 25)
        try:
            for frame in self.container.decode(self.stream):
                time_s = time_s + step if frame.time is None else frame.time - start
                self._reached = max(self._reached, time_s + step)
                if frame.width * frame.height > _most_pixels():
                    self._damage = f"a frame of {frame.width}x{frame.height} pixels"
                    return
                yield time_s, frame
            self._ended = True
        except av.FFmpegError as error:
            self._damage = error.strerror or type(error).__name__

    def _seek(self, time_s: float) -> bool:
        """Go to the last key frame before; False where that cannot be done, and what comes next is decoded instead."""
        place = (self.stream.start_time or 0) + int(time_s / self.stream.time_base)
        try:
            self.container.seek(place, stream=self.stream, backward=True)
        except require("av").FFmpegError:
            return False
        return True


def bursts_of(sampling: Sampling, duration_s: float) -> list[tuple[float, int]]:
    """Where every burst begins, in seconds, and of how many frames it is: evenly from the clip's start on.

    A few frames are spread over four places rather than kept in one.
    """
    count = max(min(_PLACES, sampling.frames), round(sampling.frames / sampling.burst))
    if duration_s <= 0:
        count = 1
    size, more = divmod(sampling.frames, count)
    return [(duration_s * number / count, size + (number < more)) for number in range(count)]


class open_clip:  # noqa: N801 - used like a function
    """Open a clip, and close it at the end of the block.

    Raises:
        EdgeproofError: no such file, none that FFmpeg knows, one cut short before its index, or without pictures.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Clip:
        av = require("av")
        if not self.path.is_file():
            raise EdgeproofError(f"{self.path}: no such file, expected a video")
        try:
            self.container = av.open(f"file:{self.path}", metadata_errors="ignore", options=_ONLY)
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise EdgeproofError(
                f"{self.path}: cannot be read as a video ({reason}), expected a whole one: is it cut short?"
            ) from None
        try:
            return self._clip()
        except BaseException:
            self.container.close()
            raise

    def __exit__(self, *error: Any) -> None:
        self.container.close()

    def _clip(self) -> Clip:
        container = self.container
        pictures = [s for s in container.streams.video if not int(s.disposition) & _COVER]
        if not pictures:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise EdgeproofError(f"{self.path}: holds {kinds} and no moving pictures, expected a video")
        stream = pictures[0]
        _bound(stream, self.path)
        return Clip(self.path, container, stream, _duration(container, stream, self.path))


_COVER = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC: the cover of a piece of music


def _most_pixels() -> int:
    """Of a frame: half as many as of a photo, since several are held at once."""
    return most_pixels() // 2


def _bound(stream: Any, path: Path) -> None:
    """Let no frame take more than so much memory, also where they grow on the way.

    Raises:
        EdgeproofError: the header promises larger ones, or nothing here decodes them.
    """
    context, most = stream.codec_context, _most_pixels()
    if context is None:
        raise EdgeproofError(
            f"{path}: its pictures are coded in a way that FFmpeg does not know here, expected another"
        )
    pixels = context.width * context.height
    if pixels > most:
        raise EdgeproofError(
            f"{path}: frames of {context.width}x{context.height} pixels, at most {most} are decoded ({PIXELS_SETTING} / 2)"
        )
    context.options = {"max_pixels": str(most + _MARGIN)}
    stream.thread_type = "AUTO" if pixels <= _LARGE else "SLICE"  # else each thread holds frames of its own


def _duration(container: Any, stream: Any, path: Path) -> float:
    """Seconds from the header, else from the time stamps of all packets, of which none is decoded."""
    av = require("av")
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration / av.time_base)
    last = 0.0
    try:
        for packet in container.demux(stream):
            if packet.pts is not None:
                last = max(last, float((packet.pts - (stream.start_time or 0)) * stream.time_base))
        container.seek(0)
    except av.FFmpegError as error:
        raise EdgeproofError(
            f"{path}: cannot be read again from its start ({error.strerror}), expected a file"
        ) from None
    return last


def _upright(frame: Any) -> Pixels:
    """RGB as the display matrix wants it shown: whole quarter turns, and mirrored where its determinant is negative."""
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].astype(float)  # 16.16; products would overflow
    if a * d - b * c < 0:
        pixels = pixels[:, ::-1]
        a, b = -a, -b
    turns = round(np.degrees(np.arctan2(b, a)) / 90) % 4  # clockwise, as FFmpeg's matrix is written
    return np.ascontiguousarray(np.rot90(pixels, -turns))
