"""What was measured survives a kill, and nothing else passes for it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_bench_latency import FakeMachine

from bench.journal import Journal, Round, plan_of
from bench.latency import measure


class Killed(BaseException):
    """Nothing in the bench catches it, as nothing catches a kill."""


def contestants(fake, *, killed_at=None):
    def die(call):
        if call == killed_at:
            raise Killed

    return [
        fake.contestant("r", 4.0, reference=True),
        fake.contestant("wild", lambda call: 1.0 + call % 9, spoil=die),
        fake.contestant("other", 1.0, input_size=64),
        fake.contestant("broken", 1.0, fails_at=3, input_size=64),
    ]


def test_a_bench_that_was_stopped_goes_on_with_the_rounds_it_has(tmp_path):
    path = tmp_path / "bench.journal"
    fake = FakeMachine()
    with pytest.raises(Killed):
        measure(
            contestants(fake, killed_at=90), iterations=2, timer=fake.timer(), journal=Journal(path, plan="a")
        )
    journal = Journal(path, plan="a")
    rounds = [entry.number for entry in journal.rounds]
    assert rounds[0] == 0 and len(rounds) > 10 and "goes on after" in journal.note
    fresh = FakeMachine()
    result = measure(contestants(fresh), iterations=2, timer=fresh.timer(), journal=journal)
    whole = FakeMachine()
    expected = measure(contestants(whole), iterations=2, timer=whole.timer())
    assert [row.samples for row in result.rows] == [row.samples for row in expected.rows]
    assert [row.status for row in result.rows] == ["ok", "ok", "ok", "failed"]
    assert fresh.log.count("wild") < whole.log.count("wild") - 20
    assert result.seconds == pytest.approx(expected.seconds, rel=0.2)


def test_a_group_that_is_finished_is_not_set_up_again(tmp_path):
    path = tmp_path / "bench.journal"
    first, again = FakeMachine(), FakeMachine()
    rows = measure(contestants(first), timer=first.timer(), journal=Journal(path, plan="a")).rows
    found = measure(contestants(again), timer=again.timer(), journal=Journal(path, plan="a")).rows
    assert [(row.status, row.samples, row.reason) for row in found] == [
        (row.status, row.samples, row.reason) for row in rows
    ]
    assert [row.p50_ms for row in found[:3]] == pytest.approx([row.p50_ms for row in rows[:3]], rel=1e-4)
    assert again.log == []


def test_the_time_limit_holds_for_all_processes_together(tmp_path):
    path = tmp_path / "bench.journal"
    journal = Journal(path, plan="a")
    journal.write(Round(group=0, number=0, seconds=9.0))
    fake = FakeMachine()
    measure([fake.contestant("a", 1.0)], budget_s=10.0, timer=fake.timer(), journal=Journal(path, plan="a"))
    assert fake.now <= 1.0


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    path = tmp_path / "bench.journal"
    journal = Journal(path, plan="a")
    journal.write(Round(group=0, number=1))
    with path.open("ab") as file:
        file.write(b'{"group": 0, "numb')
    journal = Journal(path, plan="a")
    assert [entry.number for entry in journal.rounds] == [1]
    journal.write(Round(group=0, number=2))
    assert [entry.number for entry in Journal(path, plan="a").rounds] == [1, 2]


@pytest.mark.parametrize(
    "damage", [b"no JSON\n", b'{"schema_version": 2, "plan": "a"}\n', b'{"schema_version":1,"plan":"b"}\n']
)
def test_a_journal_of_something_else_is_left_with_a_word(tmp_path, damage):
    path = tmp_path / "bench.journal"
    path.write_bytes(damage)
    journal = Journal(path, plan="a")
    assert journal.rounds == () and "begins anew" in journal.note
    assert json.loads(path.read_text()) == {"schema_version": 1, "plan": "a"}


def test_other_arguments_are_another_plan():
    fake = FakeMachine()
    one, two = fake.contestant("a", 1.0), fake.contestant("a", 1.0, threads=2)
    assert plan_of([one], 30.0) == plan_of([one], 30.0)
    assert (
        len({plan_of([one], 30.0), plan_of([two], 30.0), plan_of([one], 31.0), plan_of([one, two], 30.0)})
        == 4
    )


def test_a_full_disk_ends_the_journal_and_not_the_bench(tmp_path, monkeypatch):
    path = tmp_path / "bench.journal"
    journal = Journal(path, plan="a")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    fake = FakeMachine()
    result = measure([fake.contestant("a", 1.0)], timer=fake.timer(), journal=journal)
    assert result.rows[0].status == "ok"
    assert journal.note == f"{path}: No space left on device; the bench goes on, but could not after a kill"


BENCH = """
import sys, time
from pathlib import Path
from bench.artifacts import JOURNAL, ROUNDS
from bench.contestant import Contestant
from bench.journal import Journal
from bench.latency import measure

made = Path(sys.argv[2])

def make():
    made.write_text(str(int(made.read_text() or 0) + 1))
    calls = iter(range(10**9))
    return lambda: time.sleep(0.001 + next(calls) % 5 / 1e3)

one = Contestant(model="a", runtime="torch", precision="fp32", input_size=32, threads=1, make=make)
journal = Journal(Path(sys.argv[1]), plan="a")
print(len(journal.rounds), flush=True)
print(measure([one], rounds=40, iterations=2, warmup=1, journal=journal).rows[0].samples)
"""


def test_a_process_that_is_killed_leaves_what_the_next_one_goes_on_with(tmp_path):
    made, path = tmp_path / "made", tmp_path / "bench.journal"
    made.write_text("")
    command = [sys.executable, "-c", BENCH, str(path), str(made)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE)
    while len(lines_of(path)) < 5:
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    there, samples = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(there) >= 4
    assert int(samples) >= 20 and made.read_text() == "2"


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
