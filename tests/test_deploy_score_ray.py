"""``edgeproof score --engine ray`` on two nodes finds what local processes find, whatever is killed meanwhile."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from cli import edgeproof, one_line_error
from PIL import Image

from deploy.artifact import MANIFEST_NAME
from deploy.score import score
from deploy.score.plan import PLAN, ScorePlan
from deploy.score.scorer import Scorer
from distill.errors import EdgeproofError
from perf.ray_cluster import Nodes, ray_nodes

ARTIFACT, IMAGES, PARTITION, SIDE = "simulated-64", 40, 2, 1200


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two nodes of one core each, for all tests of this file."""
    with ray_nodes(2) as found:
        yield found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that take some time to decode, so that a kill meets work; one of them is none."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(IMAGES):
        path = folder / ("fake", "real")[number % 2] / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        small = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE)).save(path, compress_level=1)
    (folder / "fake/04.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def artifact() -> Path:
    from deploy.shipped import find_artifact

    return find_artifact(ARTIFACT, runtime="onnxruntime")


@pytest.fixture(scope="module")
def expected(artifact: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that this process writes."""
    out = tmp_path_factory.mktemp("local") / "scores"
    score(artifact, photos, out=out, partition=PARTITION, runtime="onnxruntime")
    return files_of(out)


def files_of(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def test_a_killed_worker_and_a_lost_node_lose_and_double_nothing(
    nodes: Nodes, photos: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    there = []

    def wait_for(partitions: int) -> None:
        while not running.done() and len(list(out.glob("part-*"))) < partitions:
            time.sleep(0.005)
        there.append(len(list(out.glob("part-*"))))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            edgeproof, "score", ARTIFACT, photos, "--out", out, "--partition", PARTITION, "--engine", "ray",
            "--address", nodes.address, "--runtime", "onnxruntime", "--json",
        )  # fmt: skip
        wait_for(3)
        killed = nodes.workers()[0]
        os.kill(killed, signal.SIGKILL)
        wait_for(8)
        nodes.tell("remove")
        result = running.result()
    assert (result.returncode, result.stderr) == (0, "")
    assert 0 < there[0] < there[1] < IMAGES // PARTITION, "both were to happen in the middle"
    told = json.loads(result.stdout)
    assert (told["images"], told["answered"], told["bad"]) == (IMAGES, IMAGES - 1, 1)
    assert files_of(out) == expected
    assert not psutil.pid_exists(killed)


def test_a_scan_on_the_cluster_finds_what_a_local_one_finds(nodes: Nodes, photos: Path) -> None:
    here = edgeproof("data", "inspect", photos, "--json")
    there = edgeproof("data", "inspect", photos, "--json", "--engine", "ray", "--address", nodes.address)
    assert (there.returncode, there.stderr) == (0, "")
    assert json.loads(there.stdout) == json.loads(here.stdout)
    assert "04.png" in there.stdout


def test_a_cluster_that_does_not_answer_is_one_line(photos: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for given, engine, said in (
        (address, "ray", "no Ray cluster answers"),
        ("somewhere", "ray", "expected HOST:PORT"),
        (address, "local", "found without --engine ray"),
        ("", "spark", "unknown engine 'spark'; choose one of: local, ray"),
    ):
        asked = ["score", ARTIFACT, photos, "--out", tmp_path / "out", "--engine", engine]
        result = edgeproof(*asked, *(["--address", given] if given else []))
        assert said in one_line_error(result)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["data", "plan", "artifact"])
def test_a_machine_that_does_not_see_it_all_says_so(
    artifact: Path, photos: Path, tmp_path: Path, missing: str
) -> None:
    out, theirs, empty = tmp_path / "out", tmp_path / "artifact", tmp_path / "empty"
    score(artifact, photos, out=out, partition=IMAGES, runtime="onnxruntime")
    plan = ScorePlan.read(out / PLAN)
    shutil.copytree(artifact, theirs)
    empty.mkdir()
    scorer = Scorer(theirs, photos, out, plan)
    assert scorer((0, ())) == (0, 0), "all of it is there"
    if missing == "data":
        scorer, said = replace(scorer, root=empty), "empty: no data there"
    elif missing == "plan":
        scorer, said = replace(scorer, out=empty), "empty: no _plan.json of this plan"
    else:
        (theirs / MANIFEST_NAME).write_bytes((theirs / MANIFEST_NAME).read_bytes() + b" ")
        scorer, said = replace(scorer), "artifact: another artifact"
    with pytest.raises(EdgeproofError, match=said):
        scorer((0, ()))
