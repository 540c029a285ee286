"""Errors as problem details (RFC 9457): one JSON form for whatever went wrong."""

import errno
import json
import sqlite3
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from deploy.bounded import LateError, NoAnswerError
from deploy.service.journal import current_request
from distill.errors import EdgeproofError

MEDIA_TYPE = "application/problem+json"
_LONGEST = 80  # characters of a value that are told
_MOST_MISTAKES = 100
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, as problem details (RFC 9457).",
        "content": {
            MEDIA_TYPE: {
                "example": {
                    "type": "about:blank", "title": "Unprocessable Entity", "status": 422,
                    "detail": "photo.jpg: cannot be decoded as an image (no known format)", "request_id": "6f1c…",
                }
            }
        },
    }
}  # fmt: skip


class Problem(HTTPException):
    """A request that cannot be answered as it is asked.

    Args:
        status: of HTTP.
        detail: one line that names the thing, what was found and what was expected.
        errors: several mistakes, a line each.
        headers: that the answer carries.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[str] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.errors = tuple(errors)


def problem_response(problem: HTTPException) -> Response:
    """The answer that tells of it. ``error`` repeats the detail where clients of the Open Inference Protocol look."""
    status = problem.status_code
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem.detail,
        "error": problem.detail,
        "request_id": current_request(),
    }
    if errors := getattr(problem, "errors", ()):
        content["errors"] = list(errors)
    return Response(json.dumps(content), status, headers=problem.headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What the project's and the system's errors are to whoever asked."""
    if isinstance(error, NoAnswerError):
        return Problem(504 if isinstance(error, LateError) else 502, str(error))
    if isinstance(error, EdgeproofError):
        return Problem(422, str(error), errors=error.args if len(error.args) > 1 else ())
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        return Problem(507, "the service's disk is full; nothing was changed")
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return Problem(503, "the service's file is in use; try again", headers={"Retry-After": "1"})
    told = f"the service failed ({type(error).__name__}); its log has the rest"
    return Problem(500, told, headers={"Connection": "close"})  # as uvicorn does once it has seen the error


def add_handlers(app: FastAPI) -> None:
    """Answer every error in this form."""

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        lines = [_mistake(item) for item in error.errors()[:_MOST_MISTAKES]]
        return problem_response(Problem(422, "; ".join(lines), errors=lines))

    async def gone(_: Request, __: Exception) -> Response:
        return problem_response(Problem(400, "the client hung up before its request was whole"))

    async def known(_: Request, error: Exception) -> Response:
        return problem_response(problem_of(error))

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ClientDisconnect, gone)
    for kind in (EdgeproofError, OSError, sqlite3.OperationalError, Exception):
        app.add_exception_handler(kind, known)


def _mistake(item: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"] if part not in ("body", "query", "path"))
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: found {_shown(item['input'])}, {message}" if key else f"body: {message}"


def _shown(value: Any) -> str:
    """In brief: of what may be a whole body only what it is, since writing it out would take seconds."""
    if isinstance(value, str):
        return repr(value[:_LONGEST])
    return repr(value) if isinstance(value, (int, float, bool)) or value is None else type(value).__name__
