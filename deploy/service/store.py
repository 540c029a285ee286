"""What outlives the service: the active model and the jobs, in one SQLite file that all its processes share."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from deploy.service.forms import State
from distill.errors import EdgeproofError

Kind = Literal["fit", "eda"]
_VERSION = 1
_WAIT_S = 5.0
_TABLES = f"""
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, command TEXT NOT NULL, created REAL NOT NULL,
    started REAL, ended REAL, pid INTEGER, cancel INTEGER NOT NULL DEFAULT 0, code INTEGER, message TEXT NOT NULL DEFAULT '',
    starts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_state ON job (state, created);
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True)
class JobRow:
    """A job as it is kept.

    Attributes:
        id: its name.
        kind: what it does.
        state: where it is.
        command: arguments of ``edgeproof``.
        created: seconds since 1970; so are ``started`` and ``ended``.
        pid: of its process, which leads a group of its own.
        cancel: whether somebody wants it to end.
        code: its exit code.
        message: why it failed, or which gates did.
        starts: how often its process has begun.
    """

    id: str
    kind: Kind
    state: State
    command: tuple[str, ...]
    created: float
    started: float | None = None
    ended: float | None = None
    pid: int | None = None
    cancel: bool = False
    code: int | None = None
    message: str = ""
    starts: int = 0


class Store:
    """The file. Threads may share it: each has a connection of its own.

    Raises:
        EdgeproofError: it is no SQLite file of ours, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._local = path, threading.local()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connection()
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, _VERSION):
                raise EdgeproofError(f"{path}: is of version {found}, expected {_VERSION}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise EdgeproofError(f"{path}: cannot be opened as the service's SQLite file ({error})") from None

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=_WAIT_S, isolation_level=None)
            found.row_factory = sqlite3.Row
            self._local.connection = found
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, and nobody else writes meanwhile."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def active(self) -> str | None:
        """The model that was chosen last, None if none ever was."""
        row = self._connection().execute("SELECT value FROM setting WHERE name = 'active'").fetchone()
        return None if row is None else str(row["value"])

    def set_active(self, name: str) -> None:
        """Choose it, for all processes at once."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO setting VALUES ('active', ?)", (name,))

    def add(self, job: str, *, kind: Kind, command: tuple[str, ...]) -> JobRow:
        """A new job at the end of the queue."""
        row = JobRow(job, kind, "queued", command, time.time())
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO job (id, kind, state, command, created) VALUES (?, ?, ?, ?, ?)",
                (job, kind, row.state, json.dumps(command), row.created),
            )
        return row

    def job(self, job: str) -> JobRow | None:
        """The one of this name."""
        row = self._connection().execute("SELECT * FROM job WHERE id = ?", (job,)).fetchone()
        return None if row is None else _row(row)

    def jobs(self, *states: State, kind: Kind | None = None) -> list[JobRow]:
        """Those in these states (all, if none is named), the oldest first."""
        wanted, values = [], [*states]
        if states:
            wanted.append(f"state IN ({', '.join('?' * len(states))})")
        if kind:
            wanted.append("kind = ?")
            values.append(kind)  # type: ignore[arg-type]
        where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
        rows = self._connection().execute(f"SELECT * FROM job {where} ORDER BY created, rowid", values)
        return [_row(row) for row in rows]

    def start(self, job: str, *, pid: int) -> None:
        """Its process has begun."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE job SET state = 'running', started = ?, pid = ?, starts = starts + 1 WHERE id = ?",
                (time.time(), pid, job),
            )

    def end(self, job: str, *, state: State, code: int | None, message: str) -> None:
        """It is over."""
        self._change(job, state=state, ended=time.time(), pid=None, code=code, message=message)

    def requeue(self, job: str) -> None:
        """The service ended under it: it goes on when there is one again."""
        self._change(job, state="queued", pid=None)

    def cancel(self, job: str) -> JobRow | None:
        """Want it to end: one that waits is over at once, one that runs is told by whoever runs it."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE job SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'",
                (time.time(), job),
            )
            connection.execute("UPDATE job SET cancel = 1 WHERE id = ? AND state = 'running'", (job,))
        return self.job(job)

    def _change(self, job: str, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._writing() as connection:
            connection.execute(f"UPDATE job SET {columns} WHERE id = ?", (*values.values(), job))


def _row(row: sqlite3.Row) -> JobRow:
    values = dict(row)
    found = JobRow(**{**values, "command": tuple(json.loads(values["command"]))})
    return replace(found, cancel=bool(found.cancel))
