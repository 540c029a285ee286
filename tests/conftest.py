"""What several test files share: one run of the whole pipeline on tiny settings."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli import edgeproof
from filelock import FileLock
from report_fixture import Records, calm

TINY = Path(__file__).parent / "tiny.toml"


@pytest.fixture(autouse=True)
def _no_signal_handler_stays() -> Iterator[None]:
    """A loader with workers sets a SIGCHLD handler for good: later tests' child processes must not meet it."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, made once however many workers test; never write into it (see ``run_copy``)."""
    base = (
        tmp_path_factory.getbasetemp()
    )  # under xdist each worker has its own, in one folder of this session
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "edgeproof-tiny-run"
    with FileLock(f"{shared}.lock"):
        if not (shared / "report.html").is_file():
            result = edgeproof("run", TINY, "--out", shared, "--resume")
            assert result.returncode == 0, result.stderr
    return shared


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def records(finished_run: Path) -> Records:
    """What the report reads of the finished run."""
    return Records.read(finished_run)


@pytest.fixture(scope="session")
def calm_records(records: Records) -> Records:
    """The same with numbers that say something."""
    return calm(records)
