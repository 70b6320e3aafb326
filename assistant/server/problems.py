"""How requests fail: one JSON shape, a stable code, a sentence, no internals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from assistant.errors import (
    RequestError,
    SandboxesClosed,
    StoreUnavailable,
    UnknownSandbox,
    UnknownThread,
    UnknownTurn,
    WrongPack,
)
from assistant.wire import WireModel

_log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client hung up before it had its answer; there is nobody to tell."""


STATUS: Mapping[type[RequestError], int] = {
    UnknownThread: 404,
    UnknownTurn: 404,
    UnknownSandbox: 404,
    SandboxesClosed: 404,
    WrongPack: 422,
}
CODES = {400: "malformed_json", 404: "not_found", 405: "method_not_allowed"}


class ProblemDetail(WireModel):
    code: str
    message: str


class Problem(WireModel):
    error: ProblemDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON."},
    404: {"model": Problem, "description": "There is no such thread or sandbox."},
    503: {"model": Problem, "description": "The conversation store does not answer now."},
    422: {"model": Problem, "description": "The request does not fit the contract."},
}


def problem(status: int, code: str, message: str) -> JSONResponse:
    body = Problem(error=ProblemDetail(code=code, message=message))
    return JSONResponse(body.model_dump(), status_code=status)


def install_problems(app: FastAPI) -> None:
    """Answer every failure of `app` with a `Problem`."""
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientGone, _unheard)
    app.add_exception_handler(StoreUnavailable, _unkept)
    app.add_exception_handler(Exception, _broken)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    return problem(STATUS.get(type(error), 400), error.code, str(error))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem(400, CODES[400], "The body is not JSON; send a JSON object.")
    told = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)
    return problem(422, "invalid_request", told)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, CODES.get(error.status_code, "request_failed"), str(error.detail))


async def _unheard(_request: Request, _error: Exception) -> JSONResponse:
    return problem(499, "client_gone", "The client hung up before it had its answer.")


async def _unkept(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StoreUnavailable)
    _log.warning("the store is unavailable: %s", error.cause)
    return problem(503, error.code, str(error))


async def _broken(_request: Request, _error: Exception) -> JSONResponse:
    return problem(500, "internal", "Something went wrong on our side; please try again.")
