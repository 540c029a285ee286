"""What people expect of any command: version, short help, quiet and verbose, and a doctor that looks for itself."""

import importlib.metadata
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli import edgeproof, one_line_error

from distill.cli import doctor
from distill.cli.doctor import examine


def finding(name: str) -> dict[str, str]:
    [found] = [item for item in examine() if item["name"] == name]
    return found


def test_version_and_short_help() -> None:
    assert edgeproof("--version").stdout == f"edgeproof {importlib.metadata.version('edgeproof')}\n"
    assert edgeproof("-h").stdout == edgeproof("--help").stdout
    assert "Usage: edgeproof predict" in edgeproof("predict", "-h").stdout.replace(
        "python -m distill", "edgeproof"
    )


def test_completion_is_offered() -> None:
    assert "--install-completion" in edgeproof("--help").stdout


def test_verbose_tells_where_an_error_was_found() -> None:
    usual, verbose = (edgeproof(*more, "run", "no-such.toml") for more in ((), ("--verbose",)))
    assert usual.returncode == verbose.returncode == 2
    assert "Traceback" not in usual.stderr and "Traceback" in verbose.stderr
    assert verbose.stderr.splitlines()[-1] == usual.stderr.splitlines()[-1]


def test_quiet_leaves_out_what_nobody_asked_for(finished_run: Path) -> None:
    usual, quiet = (edgeproof(*more, "teach", finished_run) for more in ((), ("--quiet",)))
    assert usual.returncode == quiet.returncode == 0
    assert "kept" in usual.stderr and quiet.stderr == ""
    assert "--quiet and --verbose" in one_line_error(edgeproof("-q", "-v", "doctor"))


def test_doctor_names_the_processor_without_any_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from distill import machine

    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setitem(sys.modules, "cpuinfo", None)
    assert finding("processor")["found"].startswith(machine.cpu_identity()[0])


def test_doctor_tries_each_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("runtimes")["status"] == "ok"
    monkeypatch.setattr(doctor, "_TRIED", "no-such-artifact")
    found = finding("runtimes")
    assert found["status"] == "problem" and "no-such-artifact" in found["found"]


@pytest.mark.parametrize(("torch", "vision", "status"), [
    ("2.15.0", "0.29.2", "ok"), ("2.13.0", "0.29.2", "problem"), ("2.15.0+cpu", "0.29.2", "problem"),
])  # fmt: skip
def test_doctor_sees_a_pair_that_does_not_belong_together(
    torch: str, vision: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"torch": torch, "torchvision": vision}
    monkeypatch.setattr(doctor, "_installed", lambda name: versions.get(name, "1"))
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["numpy", "torch==2.15.0"])
    assert finding("torch pair")["status"] == status


def test_termination_reaches_a_process_that_ignores_ctrl_c() -> None:
    """As one does that a shell started in the background."""
    code = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from distill.cli.terminate import treat_termination_as_ctrl_c; treat_termination_as_ctrl_c()\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('ended well')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "ended well\n"
    assert process.returncode == 0
