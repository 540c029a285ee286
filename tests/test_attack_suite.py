"""The suite of attacks in its short form, and that it can tell what did not survive. The long one: ``python -m perf.attack``."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perf.attack.case import Case, Outcome, judge
from perf.attack.equal import differences, redone, temporary_files
from perf.attack.mutate import damage_bytes, damage_json, damage_text
from perf.attack.table import Table

ROOT = Path(__file__).parents[1]
INPUTS = 4
GOOD = {"code": 0, "seconds": 0.1, "peak_bytes": 10**8}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_few_inputs_of_every_kind_survive(tmp_path: Path, seed: int) -> None:
    """Two seeds, of which each takes half of the areas."""
    areas = (
        ("images", "odd images", "video", "manifest", "ONNX", "OpenVINO IR", "tar")
        if seed
        else ("recipe", "--set", "weights", "layout", "CSV", "Parquet")
    )
    options = [word for area in areas for word in (f"--area={area}",)]
    done = subprocess.run(
        [sys.executable, "-m", "perf.attack", "--minutes=5", f"--inputs={INPUTS}", f"--seed={seed}", *options,
         f"--keep={tmp_path / 'keep'}", f"--out={tmp_path / 'record.json'}"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["findings"], done.returncode) == ([], 0), done.stderr
    assert {name: row["survived"] >= INPUTS for name, row in record["rows"].items()} == dict.fromkeys(
        areas, True
    )


@pytest.mark.parametrize(("bad", "words"), [
    ({"code": -11}, "ended by signal 11"), ({"code": 71}, "exit code 71"), ({"seconds": 5.1}, "took 5.1 s"),
    ({"code": 1, "error": "Traceback (most recent call last):\nKeyError: 'a'"}, "traceback: KeyError: 'a'"),
    ({"peak_bytes": 1_600_000_000}, "peak memory 1.60 GB"), ({"left": [".a-x.json"]}, "left .a-x.json"),
    ({"code": 2}, "without a word"), ({"code": 2, "error": "edgeproof: error: \x1b[31mred"}, "a line of"),
    ({"code": 2, "error": "edgeproof: error: " + "x" * 30_000}, "a line of 30018 characters"),
])  # fmt: skip
def test_what_does_not_survive_is_told(bad: dict[str, object], words: str) -> None:
    assert judge(Outcome(**GOOD)) == "" and words in judge(Outcome(**{**GOOD, **bad}))  # type: ignore[arg-type]


def test_damage_is_damage_and_the_same_for_a_seed() -> None:
    value = {"a": [1, 2.5, None], "b": {"c": "text", "d": True}}
    for damage, whole in (
        (damage_bytes, bytes(range(200))),
        (damage_json, value),
        (damage_text, "a = 1\nb = 2\n"),
    ):
        found = [damage(whole, random.Random(seed)) for seed in range(40)]
        assert found == [damage(whole, random.Random(seed)) for seed in range(40)]
        assert sum(one != whole for one in found) > 35
    assert value == {"a": [1, 2.5, None], "b": {"c": "text", "d": True}}


def test_the_table_counts_inputs() -> None:
    table = Table(seed=0)
    table.add(Case("images", 20, lambda folder: ()), Outcome(**GOOD))
    table.add(Case("images", 1, lambda folder: ()), Outcome(**GOOD, finding="traceback: KeyError"))
    assert (table.tried("images"), table.row("images").survived) == (21, 20)
    assert "| images | 21 | 20 |  | 2 |" in table.text() and table.findings[0]["area"] == "images"


def test_equal_runs_differ_in_times_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "p.npz", x=np.arange(3))
        (tmp_path / name / "r.json").write_text(json.dumps({"seconds": random.random(), "auc": 0.5}))
    assert not list(differences(tmp_path / "a", tmp_path / "b"))
    np.savez(tmp_path / "b" / "p.npz", x=np.arange(3) + 1)
    (tmp_path / "b" / "r.json").write_text(json.dumps({"auc": 0.6}))
    (tmp_path / "b" / ".w-1.safetensors").touch()
    (tmp_path / "b" / "c.onnx").touch()
    assert list(differences(tmp_path / "a", tmp_path / "b")) == ["c.onnx (in one alone)", "p.npz", "r.json"]
    assert temporary_files(tmp_path / "b") == [".w-1.safetensors"]


def test_what_ended_and_began_again_is_told(tmp_path: Path) -> None:
    events = [("start", "a"), ("start", "b"), ("end", "a"), ("start", "b"), ("end", "b")]
    lines = [json.dumps({"event": event, "stage": stage}) for event, stage in events]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    assert redone(tmp_path) == []
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, lines[0], '{"cut sho']))
    assert redone(tmp_path) == ["a"]
