"""The face of a frame: found, given in a table, cut out, and said to be missing."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_deploy_video import flat, grey_detector, write_clip
from typer.testing import CliRunner

from deploy.video.faces import cut_face, face_finder, faces_of_table
from deploy.video.frames import Frame, Sampling
from deploy.video.judge import judge_clip
from distill.cli.app import app
from distill.errors import EdgeproofError

skimage = pytest.importorskip("skimage")
FACE = (223, 125)  # the middle of the face in the package's picture of an astronaut, 512 x 512
SIDE = 256


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A photograph with one frontal face, at half its size."""
    with Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png") as picture:
        return np.asarray(picture.convert("RGB").resize((SIDE, SIDE)))


@pytest.fixture
def blank() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), 160, np.uint8)


def frame(pixels: np.ndarray, *, at: float = 0.0) -> Frame:
    return Frame(at, 0, pixels)


def middle(box) -> tuple[float, float]:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2


def test_the_face_of_a_photograph_is_found_and_held_for_half_a_second(portrait, blank):
    find = face_finder()
    assert find(frame(blank)) is None
    found = find(frame(portrait, at=0.1))
    assert middle(found) == pytest.approx([value / 2 for value in FACE], abs=12)
    assert 40 < found[2] - found[0] < 90
    assert find(frame(blank, at=0.5)) == found, "one that trembles would look like flicker"
    assert find(frame(blank, at=0.7)) is None and face_finder()(frame(blank, at=0.2)) is None
    assert find(frame(portrait[:30, :30], at=2.0)) is None, "too small for any face"


def test_of_a_clip_the_faces_are_judged_and_the_rest_is_counted(portrait, blank, tmp_path):
    wide = np.concatenate([blank, portrait], axis=1)  # the face is on the right
    path = write_clip(tmp_path / "a.mkv", [wide, wide[:, ::-1], 0 * wide, wide, 0 * wide], fps=1)
    detector = grey_detector()
    found = judge_clip(detector, path, sampling=Sampling(every=1), faces=face_finder())
    assert (len(found.frames), found.faceless) == (3, 2) and (found.width, found.height) == (2 * SIDE, SIDE)
    assert [round(each.time_s) for each in found.frames] == [0, 1, 3]
    for each, pixels in zip(found.frames, (wide, wide[:, ::-1], wide), strict=True):
        crop = cut_face(pixels, each.face)
        seen = detector.preprocessing().apply(Image.fromarray(crop))
        assert each.logit == pytest.approx(detector.run(seen)[0])
    places = [middle(each.face)[0] for each in found.frames]
    assert places[0] > SIDE and places[1] < SIDE and places[2] == places[0]
    assert "2 of 5 frames had no face and were left out" in found.cautions
    whole = judge_clip(detector, path, sampling=Sampling(every=1))
    assert len(whole.frames) == 5 and whole.frames[0].face is None and whole.faceless == 0


def test_a_clip_without_a_face_is_one_line(tmp_path):
    path = write_clip(tmp_path / "a.mkv", flat([100] * 9))
    with pytest.raises(EdgeproofError, match=r"a\.mkv: found no face in 9 frames, expected one at least"):
        judge_clip(grey_detector(), path, sampling=Sampling(every=1), faces=face_finder())


def test_a_square_around_a_face_stays_in_the_picture():
    pixels = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60, 1).repeat(3, axis=2)
    assert np.array_equal(cut_face(pixels, (20, 10, 30, 20)), pixels[8:21, 18:31]), (
        "1.3 times the longer side"
    )
    assert np.array_equal(cut_face(pixels, (-4, -4, 6, 6)), pixels[:13, :13])
    assert np.array_equal(cut_face(pixels, (54, 34, 64, 40)), pixels[-13:, -13:])
    assert cut_face(pixels, (0, 0, 59, 39)).shape == (40, 40, 3), "no larger than the picture"
    with pytest.raises(EdgeproofError, match="its box is at 80, 5, expected a place inside of 60x40 pixels"):
        cut_face(pixels, (70, 0, 90, 10))


def test_a_table_of_faces_is_read_by_time_and_name(tmp_path, blank):
    table = tmp_path / "faces.csv"
    table.write_text(
        "clip,time_s,left,top,right,bottom\n"
        "a.mp4,0.0,10,10,20,20\na.mp4,0.0,10,10,40,40\na.mp4,0.0,0,0,5,5\n,1.0,50,50,60,60\nb.mp4,0.4,1,1,2,2\n"
    )
    find = faces_of_table(table, tmp_path / "a.mp4")
    assert find(frame(blank, at=0.4)) == (10, 10, 40, 40), "the largest of one time"
    assert find(frame(blank, at=0.6)) == (50, 50, 60, 60) == find(frame(blank, at=1.5))
    assert find(frame(blank, at=1.6)) is None
    assert faces_of_table(table, tmp_path / "b.mp4")(frame(blank, at=0.1)) == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,left,top,right,bottom\n0,1,1,x,2\n", "faces.csv: line 2: found 0,1,1,x,2, expected numbers"),
        ("time_s,left,top,right,bottom\n0,5,1,5,2\n", "expected left < right and top < bottom"),
        ("time_s,left,top,right,bottom\nnan,1,1,2,2\n", "all finite"),
        ("time_s,x1,y1,x2,y2\n0,1,1,2,2\n", "left"),
        ("", "is empty"),
    ],
)
def test_a_wrong_table_is_one_line(text, said, tmp_path):
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(EdgeproofError) as caught:
        faces_of_table(tmp_path / "faces.csv", Path("a.mp4"))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_command_takes_both_and_says_that_photos_are_judged_whole(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", flat(np.linspace(90, 180, 12)))
    table, photo = tmp_path / "faces.csv", tmp_path / "b.png"
    table.write_text("time_s,left,top,right,bottom\n0.5,4,4,20,20\n")
    Image.new("RGB", (80, 80)).save(photo)
    command = ["predict", "simulated-64", str(clip), str(photo), "--every", "1", "--json"]
    given = CliRunner().invoke(app, [*command, "--face-boxes", str(table)])
    assert given.exit_code == 0, given.output
    found, plain = json.loads(given.stdout)
    assert found["clip"]["frames"][0]["face"] == [4, 4, 20, 20] and found["clip"]["faceless"] == 1
    assert "clip" not in plain and "photos are judged as a whole" in given.stderr
    none = CliRunner().invoke(app, [*command, "--faces"])
    assert none.exit_code == 2 and "found no face in 12 frames" in json.loads(none.stdout)[0]["error"]
