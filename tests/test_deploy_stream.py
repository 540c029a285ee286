"""Answers as images come: in order, at once, with a few images held, from folders and standard input."""

import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from cli import edgeproof, one_line_error
from deploy_fixture import Deployed, build_deployed
from PIL import Image

from deploy.in_order import in_order
from deploy.predict import answers_for, summary, tell
from deploy.runtime import Detector
from deploy.watch import new_photos, paths_from, photos_in
from distill.errors import EdgeproofError


@pytest.fixture(scope="session")
def deployed(tmp_path_factory) -> Deployed:
    return build_deployed(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def detector(deployed: Deployed) -> Detector:
    return Detector.load(deployed.folder / "fp32", runtime="onnxruntime", threads=2, workers=2)


# --- in order ---------------------------------------------------------------------------------------------


def test_answers_keep_the_order_when_a_later_one_is_done_first() -> None:
    second_done = Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_done.wait(60), "the second was not worked on beside the first"
        elif number == 1:
            second_done.set()
        return number * 10

    assert list(in_order(work, range(5), workers=2)) == [0, 10, 20, 30, 40]


def test_an_answer_does_not_wait_for_the_next_item() -> None:
    asked, answered = Event(), []

    def items():
        yield "first"
        assert asked.wait(60), "the answer was held back until the next item"
        yield "second"

    for answer in in_order(str.upper, items(), workers=2):
        answered.append(answer)
        asked.set()
    assert answered == ["FIRST", "SECOND"]


def test_few_items_are_held_however_many_come() -> None:
    class Item:
        """As big as you like."""

    alive: weakref.WeakSet[Item] = weakref.WeakSet()
    most = 0

    def items():
        for _ in range(300):
            item = Item()
            alive.add(item)
            yield item

    for _ in in_order(lambda item: item, items(), workers=3, ahead=4):
        most = max(most, len(alive))
    assert 1 < most <= 12
    gc.collect()
    assert len(alive) <= 1


def test_the_items_of_a_stream_that_is_left_are_taken_no_further() -> None:
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    stream = in_order(lambda number: number, items(), workers=2, ahead=4)
    assert [next(stream), next(stream)] == [0, 1]
    stream.close()
    assert len(taken) < 20


def test_an_error_comes_in_its_place() -> None:
    def broken():
        yield 1
        raise EdgeproofError("the source is gone")

    stream = in_order(lambda number: 1 // number, iter([1, 0, 1]), workers=2)
    assert next(stream) == 1
    with pytest.raises(ZeroDivisionError):
        next(stream)
    stream = in_order(lambda number: number, broken(), workers=2)
    assert next(stream) == 1
    with pytest.raises(EdgeproofError, match="the source is gone"):
        next(stream)


def test_a_stream_of_images_is_answered_in_order(deployed: Deployed, detector: Detector) -> None:
    expected = detector.predict(list(deployed.pixels))
    assert list(detector.stream(iter(deployed.pixels))) == expected
    stream = detector.stream([deployed.pixels[0], b"no image"])
    assert next(stream) == expected[0]
    with pytest.raises(EdgeproofError, match="cannot be decoded"):
        next(stream)


# --- where photos come from -------------------------------------------------------------------------------


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_watched_file_is_told_of_once_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(b"old")
    slow, quick, below = tmp_path / "slow.jpg", tmp_path / "quick.PNG", tmp_path / "a" / "below.webp"
    looks: list[list[str]] = [[]]

    def touch(path: Path, content: bytes, time: int) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time, time))

    steps = [
        lambda: (touch(slow, b"12", 1), touch(quick, b"12", 1), touch(tmp_path / "no.txt", b"12", 1)),
        lambda: touch(slow, b"1234", 2),  # still being written
        lambda: touch(below, b"", 3),  # empty
        lambda: touch(below, b"1", 4),
        lambda: None,
        lambda: touch(quick, b"ab", 5),  # another picture of the same name and size
        lambda: None,
        lambda: quick.unlink(),
    ]

    def pause() -> bool:
        looks.append([])
        if steps:
            steps.pop(0)()
            return True
        return False

    for photo in new_photos(tmp_path, pause=pause):
        looks[-1].append(photo.name)
    assert looks[1:-1] == [[], ["quick.PNG"], ["slow.jpg"], [], ["below.webp"], [], ["quick.PNG"], []]


def test_sources_name_what_they_lack(tmp_path: Path) -> None:
    with pytest.raises(EdgeproofError, match=r"gone: no such folder to watch"):
        next(new_photos(tmp_path / "gone", pause=lambda: True))
    with pytest.raises(EdgeproofError, match=r"holds no photos, expected files ending in \.avif"):
        photos_in(tmp_path)
    assert list(paths_from([b"a b.jpg\n", b"\n", b"c.jpg\r\n", b"d.jpg"])) == [
        Path("a b.jpg"), Path("c.jpg"), Path("d.jpg"),
    ]  # fmt: skip


# --- what is told -----------------------------------------------------------------------------------------


def test_every_form_is_told_as_answers_come(
    deployed: Deployed, detector: Detector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [save(tmp_path / f"{n}.png", deployed.pixels[n]) for n in range(3)] + [tmp_path / "gone.png"]
    seen: list[str] = []

    def answers():
        for answer in answers_for(detector, photos):
            yield answer
            seen.append(capsys.readouterr().out)

    told = tell(answers(), form="lines", csv=tmp_path / "a.csv", classes=())
    assert [json.loads(line)["path"] for line in seen] == [str(photo) for photo in photos]
    assert told.counts.total() == 4 and told.counts["error"] == 1 and not told.interrupted
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert rows[0] == "path,label,answer,probability,logit,threshold,caution,error" and len(rows) == 5
    assert "no such image file" in rows[4]
    tell(answers_for(detector, photos[:2]), form="json", csv=None, classes=())
    assert [one["label"] for one in json.loads(capsys.readouterr().out)] == [
        one.label for one in detector.predict(photos[:2])
    ]
    tell([], form="json", csv=None, classes=())
    assert json.loads(capsys.readouterr().out) == []


def test_people_are_told_of_an_image_that_is_far_from_the_models_input(
    detector, tmp_path: Path, capsys
) -> None:
    photos = [save(tmp_path / f"{side}.png", np.full((side, side, 3), 90, np.uint8)) for side in (20, 32)]
    tell(answers_for(detector, photos), form="text", csv=None, classes=())
    small, fitting = capsys.readouterr().out.splitlines()
    assert small.endswith("); caution: 20x20 pixels were enlarged to the model's 32x32")
    assert fitting.endswith(")"), "that the model saw simulated images only is told once, not here"


def test_an_interrupt_keeps_what_was_told(deployed, detector, tmp_path: Path, capsys) -> None:
    photo = save(tmp_path / "0.png", deployed.pixels[0])

    def answers():
        yield from answers_for(detector, [photo])
        raise KeyboardInterrupt

    told = tell(answers(), form="json", csv=tmp_path / "a.csv", classes=())
    assert told.interrupted and told.counts.total() == 1
    assert (
        len(json.loads(capsys.readouterr().out)) == 1 and len((tmp_path / "a.csv").read_text().split()) >= 2
    )


def test_a_summary_counts_kinds_and_the_share_answered() -> None:
    counts = Counter({"real": 6, "generated": 2, "not sure": 2, "error": 1})
    assert summary(counts) == "11 photos: 1 error, 2 generated, 2 not sure, 6 real; answered 80.0%"
    assert summary(Counter()) == "0 photos: none"


# --- the command ------------------------------------------------------------------------------------------


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "distill", "predict", *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent, env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a suite in the background of a shell hands on that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def test_each_line_of_standard_input_is_answered_at_once(deployed: Deployed, tmp_path: Path) -> None:
    photos = [save(tmp_path / f"{n}.png", deployed.pixels[n]) for n in range(2)]
    with start(deployed.folder / "fp32", "--stdin", "--runtime", "onnxruntime", "--threads", "1") as process:
        for photo in photos:  # the next path is sent after the answer alone
            process.stdin.write(f"{photo}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer["path"] == str(photo) and answer["error"] is None
            assert "simulated" in answer["caution"]
        process.stdin.close()
        told = process.stderr.read()
    assert process.returncode == 0
    assert told.count("simulated") == 1 and told.splitlines()[-1].startswith("edgeproof: 2 photos: ")


def test_ctrl_c_ends_a_watch_well(deployed: Deployed, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with start(deployed.folder / "fp32", "--watch", folder, "--runtime", "onnxruntime") as process:
        process.stderr.readline()  # the caution: the watch begins
        number = 0
        answer = ""
        os.set_blocking(process.stdout.fileno(), False)
        while not answer and process.poll() is None:  # the first may lie there before the first look
            save(folder / f"{number}.png", deployed.pixels[number % 24])
            number += 1
            try:
                process.wait(0.7)
            except subprocess.TimeoutExpired:
                answer = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert json.loads(answer)["path"].startswith(str(folder))
    assert process.returncode == 0 and "Traceback" not in told
    assert "photos: " in told.splitlines()[-1]


def test_the_command_wants_photos_from_one_place(deployed: Deployed, tmp_path: Path) -> None:
    message = one_line_error(edgeproof("predict", deployed.folder / "fp32"))
    assert "expected photos, or --stdin, or --watch FOLDER" in message
    photo = save(tmp_path / "0.png", deployed.pixels[0])
    message = one_line_error(edgeproof("predict", deployed.folder / "fp32", photo, "--policy", "crop"))
    assert "unknown policy 'crop'; choose one of: center_crop, resize, tiles" in message
