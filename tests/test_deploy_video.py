"""Clips: which frames are looked at, the score that follows by hand, how steady it is, and what cannot be read."""

import csv
import json
import tracemalloc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deploy.video.frames import Sampling, bursts_of, open_clip
from deploy.video.judge import judge_clip
from deploy.video.record import ClipRecord
from deploy.video.steadiness import detail_change, fine_detail, robust_mean, steadiness
from distill.cli.app import app
from distill.errors import EdgeproofError
from distill.preprocess import PreprocessSpec
from distill.task import BINARY, MultiClass

av = pytest.importorskip("av")
SIDE = 32


def write_clip(
    path: Path, pictures, *, fps=10, codec="ffv1", times=None, turn=0, mirror=False, gop=12
) -> Path:
    """Write pictures uint8 ``[H, W, 3]`` as a clip; ``times`` are their seconds where they are not even."""
    named = str(path) if isinstance(path, Path) else path
    with av.open(named, "w", format=None if isinstance(path, Path) else "matroska") as container:
        stream = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=fps)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
                stream.codec_context.gop_size = gop
                if codec == "mpeg4":
                    stream.codec_context.bit_rate = 4_000_000
                if times is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
                if turn or mirror:
                    stream.set_display_rotation(turn, hflip=mirror)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if times is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * times[number])
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def flat(values):
    """Pictures of one grey each, made as they are asked for."""
    return (np.full((SIDE, SIDE, 3), round(value), np.uint8) for value in values)


def grey_detector(labels=("real", "generated"), threshold=0.5):
    """Its logit is how much brighter than the middle a picture is, in sixteenths; of classes the first is darkness."""
    task = BINARY if len(labels) == 2 else MultiClass(labels)

    def run(pixels):
        bright = pixels.mean(axis=(1, 2, 3)) / 16 - 8
        return bright if len(labels) == 2 else np.stack([-bright, bright, 0 * bright], axis=1)

    kind = "binary" if len(labels) == 2 else "multiclass"
    manifest = SimpleNamespace(name="grey", task=kind, labels=labels, threshold=threshold, band=None)
    return SimpleNamespace(
        manifest=manifest, caution=None, run=run, probabilities=task.probabilities,
        preprocessing=lambda policy=None: PreprocessSpec(size=SIDE, policy="center_crop"),
    )  # fmt: skip


def test_the_clip_score_is_the_mean_without_the_extremes_by_hand(tmp_path):
    greys = [128, 144, 160, 144, 128, 0, 255, 144, 160, 144]
    found = judge_clip(grey_detector(), write_clip(tmp_path / "a.mkv", flat(greys)))
    assert [frame.logit for frame in found.frames] == pytest.approx([grey / 16 - 8 for grey in greys])
    assert found.logit == pytest.approx(np.mean([0, 1, 1, 1, 1, 2]))  # of ten, two fall away at either end
    assert found.probability == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6) and found.label == "generated"
    assert found.median == pytest.approx(1) and found.share == pytest.approx(0.9)
    assert found.duration_s == pytest.approx(1.0, abs=0.11) and (found.width, found.height) == (SIDE, SIDE)
    assert ClipRecord.parse(found.model_dump(mode="json"), origin="again") == found


def test_classes_have_a_clip_score_each(tmp_path):
    detector = grey_detector(labels=("dark", "bright", "grey"), threshold=None)
    found = judge_clip(detector, write_clip(tmp_path / "a.mkv", flat([160] * 4 + [96])))
    assert (found.label, found.threshold, found.answer) == ("bright", None, None)
    assert found.share == pytest.approx(0.8) and sum(found.probabilities.values()) == pytest.approx(1)


def test_bursts_lie_evenly_over_a_long_clip_and_little_else_is_decoded(tmp_path, monkeypatch):
    seconds, fps = 60, 10
    path = write_clip(tmp_path / "a.mkv", flat(np.linspace(0, 250, seconds * fps)))
    decoded = []
    with open_clip(path) as clip:
        inner = clip._decoded

        def counted():
            for item in inner():
                decoded.append(item[0])
                yield item

        monkeypatch.setattr(clip, "_decoded", counted)
        found = list(clip.frames(Sampling(frames=12, burst=3)))
        assert not clip.cautions
    times = np.array([frame.time_s for frame in found])
    assert times == pytest.approx([15 * b + 0.1 * n for b in range(4) for n in range(3)], abs=0.051)
    assert [frame.burst for frame in found] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    shown = [frame.pixels.mean() for frame in found]
    assert shown == pytest.approx(times / seconds * 250, abs=1.0), "the picture is that of its time"
    assert len(decoded) < 100, "of 600"


def test_every_nth_frame_of_a_variable_rate_has_its_own_time(tmp_path):
    times = np.cumsum([0, 0.1, 0.5, 0.05, 0.05, 1.0, 0.2, 0.1])
    path = write_clip(tmp_path / "a.mkv", flat(times * 100), times=times)
    with open_clip(path) as clip:
        found = list(clip.frames(Sampling(every=2)))
    assert [frame.time_s for frame in found] == pytest.approx(times[::2], abs=0.002)
    assert [frame.pixels.mean() for frame in found] == pytest.approx(times[::2] * 100, abs=1)
    with open_clip(path) as clip:
        bursts = list(clip.frames(Sampling(frames=8, burst=2)))
    assert [frame.time_s for frame in bursts] == pytest.approx([0, 0.1, 0.6, 0.65, 1.7, 1.9, 2.0], abs=0.002)


def test_a_long_clip_is_streamed(tmp_path):
    path = write_clip(tmp_path / "a.mp4", flat([100] * 200), codec="mpeg4")
    judge_clip(grey_detector(), path, sampling=Sampling(frames=8))  # imports
    tracemalloc.start()
    found = judge_clip(grey_detector(), path, sampling=Sampling(every=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.frames) == 200
    assert peak < 200 * SIDE * SIDE * 3 / 2, "less than half of all pictures at once"


@pytest.mark.parametrize(("turn", "mirror"), [(90, False), (180, False), (-90, False), (90, True), (0, True)])
def test_what_the_display_matrix_turns_and_mirrors_is_shown_so(turn, mirror, tmp_path):
    picture = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    picture[: SIDE // 2, : SIDE // 2] = 255  # the upper left corner
    path = write_clip(tmp_path / "a.mp4", [picture] * 3, codec="mpeg4", turn=turn, mirror=mirror)
    with open_clip(path) as clip:
        frame = next(clip.frames(Sampling()))
    expected = np.rot90(picture, round(turn / 90))  # counterclockwise, then mirrored
    expected = expected[:, ::-1] if mirror else expected
    assert frame.pixels.shape == expected.shape
    assert np.abs(frame.pixels.astype(int) - expected).mean() < 12


def test_a_clip_that_was_cut_short_is_judged_as_far_as_it_goes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), np.uint8)
    whole = write_clip(tmp_path / "whole.mkv", noise)
    assert not judge_clip(grey_detector(), whole).cautions
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = judge_clip(grey_detector(), part, sampling=Sampling(every=1))
    assert 10 < len(found.frames) < 30
    assert any("cut short or damaged: pictures up to" in caution for caution in found.cautions)


def test_what_is_no_video_is_one_line(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3), np.uint8)
    whole = write_clip(tmp_path / "whole.mp4", noise, codec="mpeg4")
    (tmp_path / "half.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "text.mp4").write_text("no video at all")
    (tmp_path / "empty.mkv").write_bytes(b"")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux([*stream.encode(silence), *stream.encode(None)])
    header = tmp_path / "header.mkv"
    full = write_clip(tmp_path / "full.mkv", flat([100] * 20)).read_bytes()
    header.write_bytes(full[: full.index(b"\x1f\x43\xb6\x75") + 30])  # into the first cluster of frames
    for name, said in (
        ("half.mp4", "cannot be read as a video"), ("text.mp4", "cannot be read as a video"),
        ("empty.mkv", "cannot be read as a video"), ("sound.mp4", "holds audio and no moving pictures"),
        ("lost.mp4", "no such file"), ("header.mkv", "not one frame can be decoded"),
    ):  # fmt: skip
        with pytest.raises(EdgeproofError) as caught:
            judge_clip(grey_detector(), tmp_path / name)
        assert said in str(caught.value) and name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(EdgeproofError, match="frames: found 0, expected at least 1"):
        Sampling(frames=0)


class Pipe:
    """A file that cannot be sought in, as a camera or a service writes it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def write(self, data: bytes) -> int:
        return self.file.write(data)


def test_a_clip_whose_header_knows_no_duration_is_sampled_over_its_whole_length(tmp_path):
    pipe = Pipe(tmp_path / "a.mkv")
    write_clip(pipe, flat(np.linspace(0, 250, 80)))
    pipe.file.close()
    with open_clip(tmp_path / "a.mkv") as clip:
        assert clip.duration_s == pytest.approx(7.9, abs=0.11)
        found = list(clip.frames(Sampling(frames=4)))
    assert [frame.time_s for frame in found] == pytest.approx([0, 2, 4, 6], abs=0.11)
    assert not clip.cautions


def test_a_song_with_a_cover_holds_no_moving_pictures(tmp_path):
    samples = np.zeros((1, 1024), np.float32)
    cover = np.full((SIDE, SIDE, 3), 200, np.uint8)
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        sound, picture = container.add_stream("aac", rate=8000), container.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = SIDE, SIDE, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux([*sound.encode(silence), *sound.encode(None)])
        frame = av.VideoFrame.from_ndarray(cover, format="rgb24")
        container.mux([*picture.encode(frame), *picture.encode(None)])
    with pytest.raises(EdgeproofError, match=r"song\.m4a: holds .*audio.* and no moving pictures"):
        judge_clip(grey_detector(), tmp_path / "song.m4a")


def test_steadiness_of_what_is_known():
    bursts = np.repeat(np.arange(40), 8)
    noise = np.random.default_rng(0).normal(size=320)
    drift = np.tile(np.arange(8.0), 40)
    nothing = np.full(320, np.nan)
    found = steadiness(noise, noise, bursts, nothing)
    assert (
        found.deviation == pytest.approx(1, abs=0.1) and 0.4 < found.flicker < 0.75 and found.detail is None
    )
    slow = steadiness(np.sin(drift / 7 * np.pi), drift / 10, bursts, nothing)
    assert slow.flicker < 0.1 and slow.step == pytest.approx(0.1)
    alone = steadiness(noise[:3], noise[:3], [0, 1, 2], nothing[:3])
    assert (alone.deviation, alone.step, alone.flicker) == (None, None, None)
    still = steadiness(np.zeros(8), np.zeros(8), np.zeros(8, int), nothing[:8])
    assert still.deviation == 0 and still.flicker is None
    rows = np.random.default_rng(1).normal(128, 20, (2, 64, 64, 3)).astype(np.uint8)
    one, other = map(fine_detail, rows)
    assert detail_change(one, one) == 0 and detail_change(one, other) == pytest.approx(2**0.5, abs=0.05)


def test_a_mean_without_extremes_and_where_bursts_begin():
    assert robust_mean([[1, 10], [2, 20], [3, 30], [4, 40], [500, -5000]]).tolist() == [3, 20]
    assert robust_mean([7.0]) == 7.0
    assert bursts_of(Sampling(), 80.0) == [(10.0 * n, 8) for n in range(8)]
    assert bursts_of(Sampling(frames=6), 80.0) == [(0.0, 2), (20.0, 2), (40.0, 1), (60.0, 1)]
    assert bursts_of(Sampling(frames=1), 80.0) == [(0.0, 1)] and bursts_of(Sampling(), 0.0) == [(0.0, 64)]


def test_the_command_answers_clips_beside_photos(tmp_path):
    folder = tmp_path / "mixed"
    (folder / "more").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(60, 200, (20, 64, 80, 3), np.uint8)
    write_clip(folder / "a.mkv", noise)
    write_clip(folder / "more" / "a.mkv", noise[:9])
    Image.fromarray(noise[0]).save(folder / "b.png")
    (folder / "c.mp4").write_text("nothing")
    command = ["predict", "simulated-64", str(folder), "--frames", "16", "--timeline", str(tmp_path / "time")]
    result = CliRunner().invoke(app, [*command, "--json", "--csv", str(tmp_path / "all.csv")])
    assert result.exit_code == 2, "one of them cannot be read"
    answers = {
        Path(answer["path"]).name: answer
        for answer in json.loads(result.stdout)
        if "more" not in answer["path"]
    }
    assert answers.keys() == {"a.mkv", "b.png", "c.mp4"}
    assert "cannot be read as a video" in answers["c.mp4"]["error"] and "clip" not in answers["b.png"]
    clip = answers["a.mkv"]
    assert len(clip["clip"]["frames"]) == 16 and clip["error"] is None
    assert clip["probability"] == pytest.approx(1 / (1 + np.exp(-clip["logit"])), abs=1e-6)
    names = sorted(file.name for file in (tmp_path / "time").iterdir())
    assert names == [f"a.mkv{end}" for end in ("-2.csv", "-2.json", "-2.png", ".csv", ".json", ".png")]
    rows = list(csv.DictReader((tmp_path / "time" / "a.mkv.csv").read_text().splitlines()))
    assert len(rows) in (9, 16) and rows[0].keys() == {"time_s", "burst", "logit", "probability"}
    with Image.open(tmp_path / "time" / "a.mkv.png") as picture:
        assert picture.width > 1000
    assert len(list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))) == 4
    both = CliRunner().invoke(app, ["predict", str(folder / "a.mkv"), "--frames", "8", "--every", "2"])
    assert isinstance(both.exception, EdgeproofError) and "--frames and --every" in str(both.exception)
