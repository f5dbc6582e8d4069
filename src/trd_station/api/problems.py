"""Errors as problem JSON (RFC 9457), whatever raised them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from trd.errors import DataError, OutputError, TRDError
from trd_station.shelf.shelf import RefusedModel
from trd_station.work.line import NotReady, QueueFull

MEDIA_TYPE = "application/problem+json"
NOT_READY_FOR = 5  # seconds
CODES = {400: "bad_request", 404: "no_route", 405: "method", 413: "too_large", 415: "format"}

log = logging.getLogger("trd")


class Problem(Exception):
    """An answer of 400 or above. code: for programs. more: further fields."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.more,
    }
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if "retry_after_s" in problem.more:
        sent["Retry-After"] = str(problem.more["retry_after_s"])
    if problem.status == HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = "Bearer"
    return JSONResponse(content, problem.status, sent, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What an error of the library or the station means to a client."""
    match error:
        case Problem():
            return error
        case QueueFull():
            return Problem(429, "queue_full", str(error), retry_after_s=error.retry_after)
        case NotReady():
            return Problem(503, "not_ready", str(error), retry_after_s=NOT_READY_FOR)
        case RefusedModel():
            return Problem(409, "self_test", str(error))
        case OutputError():
            return Problem(503, "storage", str(error), retry_after_s=NOT_READY_FOR)
        case DataError() | TRDError():
            return Problem(422, "parameter", str(error))
    raise error


def install(app: FastAPI) -> None:
    def known(_: Request, error: Exception) -> JSONResponse:
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            app.state.station.metrics.errors.inc()
        return answer(problem)

    def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        detail = str(error.detail)
        headers = {k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"}
        code = CODES.get(error.status_code, "bad_request")
        return answer(Problem(error.status_code, code, detail), headers)

    def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        faults = [
            {"where": ".".join(str(place) for place in fault["loc"]), "what": str(fault["msg"])}
            for fault in error.errors()
        ]
        first = faults[0]
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            return answer(Problem(400, "bad_request", f"the body is no JSON: {first['what']}"))
        return answer(Problem(422, "parameter", f"{first['where']}: {first['what']}", errors=faults))

    def unexpected(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        app.state.station.metrics.errors.inc()
        return answer(Problem(500, "internal", f"unexpected {type(error).__name__}; the station's log has more"))

    for kind in (Problem, TRDError):
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)
