"""Files that only look like clips, or whose frames take more memory than anybody has."""

import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from test_deploy_video import flat, write_clip

from deploy.video.frames import Sampling, open_clip
from distill.errors import EdgeproofError

av = pytest.importorskip("av")


def frames(path: Path) -> int:
    with open_clip(path) as clip:
        return len(list(clip.frames(Sampling(frames=4))))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a clip that nobody asks about."""
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "secret.mkv", flat([100] * 4))
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.mkv\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\nsecret.mkv\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["concat", "HLS", "SDP"],
)
def test_a_list_of_other_files_is_no_clip(folder: Path, text: str) -> None:
    (folder / "a.mp4").write_text(text)
    with pytest.raises(EdgeproofError, match=r"a\.mp4: cannot be read as a video"):
        frames(Path("a.mp4"))


@pytest.mark.parametrize("name", ["http:a.mkv", "pipe:0.mkv", "concat:secret.mkv|secret.mkv", "data:a.mkv"])
def test_a_name_is_no_address(folder: Path, name: str) -> None:
    shutil.copy(folder / "secret.mkv", folder / name)
    assert frames(Path(name)) == 4


def test_frames_have_no_more_pixels_than_there_is_memory_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROOF_MAX_PIXELS", str(2 * 32 * 32 - 2))
    with pytest.raises(EdgeproofError, match=r"frames of 32x32 pixels, at most 1023 are decoded"):
        frames(Path("secret.mkv"))
    monkeypatch.setenv("EDGEPROOF_MAX_PIXELS", str(2 * 32 * 32))
    assert frames(Path("secret.mkv")) == 4


def test_frames_that_grow_on_the_way_are_not_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Motion JPEG says its size anew in every frame."""
    pictures = [np.full((side, side, 3), 90, np.uint8) for side in (32, 64)]
    with av.open("grows.avi", "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        for number, picture in enumerate(pictures):
            other = av.CodecContext.create("mjpeg", "w")
            other.width, other.height = picture.shape[1], picture.shape[0]
            other.pix_fmt, other.time_base = "yuvj420p", Fraction(1, 10)
            for packet in other.encode(
                av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            ):
                packet.stream, packet.pts, packet.dts = stream, number, number
                container.mux(packet)
    assert frames(Path("grows.avi")) == 2
    monkeypatch.setenv("EDGEPROOF_MAX_PIXELS", str(2 * 32 * 32))
    with open_clip(Path("grows.avi")) as clip:
        assert [frame.pixels.shape for frame in clip.frames(Sampling(frames=4))] == [(32, 32, 3)]
        assert clip.cautions


@pytest.mark.parametrize("given", [{"frames": 10**9}, {"burst": 10**30}])
def test_no_more_frames_are_asked_for_than_can_be_held(given: dict[str, int]) -> None:
    with pytest.raises(EdgeproofError, match="expected at most 1000000"):
        Sampling(**given)


def test_a_codec_that_nobody_knows_is_one_line(folder: Path) -> None:
    whole = write_clip(folder / "a.mp4", flat([100] * 4), codec="mpeg4").read_bytes()
    at = whole.index(b"mp4v")
    (folder / "a.mp4").write_bytes(whole[:at] + b"zzzz" + whole[at + 4 :].replace(b"esds", b"free"))
    with pytest.raises(EdgeproofError, match=r"a\.mp4: .*coded in a way that FFmpeg does not know"):
        frames(folder / "a.mp4")


def test_a_pipe_is_no_clip(folder: Path) -> None:
    os.mkfifo(folder / "a.mp4")
    with pytest.raises(EdgeproofError, match="no such file, expected a video"):
        frames(Path("a.mp4"))
