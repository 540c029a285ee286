"""Trainings and explorations: asked for, watched, ended, and what they leave."""

import uuid
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from deploy.service.desk import Desk, desk_of
from deploy.service.fits import (
    explore_command,
    fit_command,
    log_file,
    output_file,
    page_file,
    path_below,
    progress_file,
)
from deploy.service.forms import FitRequest, Job, Jobs
from deploy.service.problems import Problem
from deploy.service.queue import last_lines
from deploy.service.store import JobRow, Kind
from distill.errors import EdgeproofError
from distill.files import read_json
from distill.pipeline.progress_record import ProgressRecord

router = APIRouter(tags=["jobs"])
_DESK = Annotated[Desk, Depends(desk_of)]
_REPORT, _TAIL, _MOST_WAITING = "report.html", 40, 100
# a page of ours holds its scripts and pictures, and asks nobody for anything
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:"
    ),
    "X-Content-Type-Options": "nosniff",
}


@router.post("/fit", status_code=202)
def fit(asked: FitRequest, desk: _DESK, response: Response) -> Job:
    """Train by a recipe; the job's id comes at once, and all mistakes of the recipe with status 422."""
    _check_room(desk)
    job = _new_name("fit")
    row = desk.store.add(job, kind="fit", command=fit_command(asked, settings=desk.settings, job=job))
    response.headers["Location"] = f"/jobs/{job}"
    return _told(desk, row)


@router.get("/jobs")
def jobs(desk: _DESK) -> Jobs:
    """Every job, the newest first, without its log."""
    return Jobs(jobs=tuple(_told(desk, row, tail=0) for row in reversed(desk.store.jobs())))


@router.get("/jobs/{job}")
def job(job: str, desk: _DESK) -> Job:
    """How far it is, and the last lines that it wrote."""
    return _told(desk, _found(desk, job))


@router.delete("/jobs/{job}", status_code=202)
def cancel(job: str, desk: _DESK) -> Job:
    """End it; what was finished of a run is kept. 409 if it is over."""
    row = _found(desk, job)
    if row.state not in ("queued", "running"):
        raise Problem(409, f"{job} is {row.state} already")
    return _told(desk, desk.store.cancel(job) or row)


@router.get("/report/{run}")
def report(run: str, desk: _DESK) -> Response:
    """The report of a run, a page that needs nothing else."""
    folders = {folder.name: folder for folder in desk.settings.runs.glob("*") if folder.is_dir()}
    if run not in folders:
        raise Problem(404, f"no run {run!r:.80}; there are: {', '.join(sorted(folders)) or 'none'}")
    return _page(folders[run] / _REPORT, missing=f"run {run} has no report yet")


@router.get("/eda")
def eda(
    request: Request,
    desk: _DESK,
    data: Annotated[str, Query(description="A data set below the data folder.")] = ".",
    again: Annotated[bool, Query(description="Explore it anew.")] = False,
) -> Response:
    """What a data set holds: JSON, or a page for a browser (``Accept: text/html``).

    The first request for a set starts a job and is answered 202 with it; once that is done, the answer is there.
    """
    if desk.settings.data is None:
        raise Problem(501, "the service was started without --data FOLDER: there is nothing to explore")
    path = path_below(desk.settings.data, data)
    row = None if again else _explored(desk, path)
    if row is None:
        _check_room(desk)
        name = _new_name("eda")
        row = desk.store.add(
            name, kind="eda", command=explore_command(path, settings=desk.settings, job=name)
        )
    if row.state in ("queued", "running"):
        headers = {"Location": f"/jobs/{row.id}", "Retry-After": "2"}
        return JSONResponse(_told(desk, row).model_dump(), 202, headers)
    if row.state != "done":
        raise EdgeproofError(f"data: {row.message or row.state}; again=1 tries once more")
    if "text/html" in request.headers.get("accept", ""):
        return _page(page_file(desk.settings, row.id), missing="the page is gone; again=1 makes it anew")
    try:
        return JSONResponse(read_json(output_file(desk.settings, row.id)))
    except (OSError, ValueError):
        raise Problem(404, "the answer is gone or damaged; again=1 makes it anew") from None


def _check_room(desk: Desk) -> None:
    """Whoever may ask must not fill the disk with jobs that never get their turn."""
    waiting = len(desk.store.jobs("queued"))
    if waiting >= _MOST_WAITING:
        raise Problem(503, f"{waiting} jobs are waiting, which is the most", headers={"Retry-After": "60"})


def _explored(desk: Desk, path: Path) -> JobRow | None:
    """The newest job that explores ``path``."""
    rows = [row for row in desk.store.jobs(kind="eda") if row.command[2] == str(path)]
    return rows[-1] if rows and rows[-1].state != "cancelled" else None


def _page(path: Path, *, missing: str) -> Response:
    if not path.is_file():
        raise Problem(404, missing)
    return FileResponse(path, media_type="text/html", headers=_PAGE_HEADERS)


def _new_name(kind: Kind) -> str:
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def _found(desk: Desk, job: str) -> JobRow:
    row = desk.store.job(job)
    if row is None:
        raise Problem(404, f"no job {job!r:.80}; GET /jobs lists all")
    return row


def _told(desk: Desk, row: JobRow, *, tail: int = _TAIL) -> Job:
    """What is kept of the job, and what it has said since."""
    progress = _progress(progress_file(desk.settings, row.id))
    running = row.state == "running"
    return Job(
        id=row.id, kind=row.kind, state=row.state, created=row.created, started=row.started, ended=row.ended,
        progress=1.0 if row.state == "done" else progress.share if progress else None,
        seconds_left=progress.seconds_left if progress and running else None,
        at_work=progress.at_work if progress and running else "",
        passed=row.code == 0 if row.state == "done" else None,
        message=row.message,
        log=last_lines(log_file(desk.settings, row.id), most=tail) if tail else (),
        report=f"/report/{row.id}" if (desk.settings.runs / row.id / _REPORT).is_file() else None,
    )  # fmt: skip


def _progress(path: Path) -> ProgressRecord | None:
    try:
        return ProgressRecord.read(path)
    except EdgeproofError:  # not there yet, or of no run
        return None
