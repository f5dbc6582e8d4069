"""Who may call what, decided before anything of the request is read: every route says which role it needs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from trd_station.api.problems import MEDIA_TYPE, Problem
from trd_station.tokens import LOCAL, ROLES, Caller

ROLE = "x-role"  # in a route's OpenAPI entry
PUBLIC = "none"

PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["title", "status", "code", "detail"],
                    "properties": {
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                }
            }
        },
    }
}


class StationRoute(APIRoute):
    """Refuses who may not, and unknown query parameters, before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        role = (self.openapi_extra or {}).get(ROLE, ROLES[-1])
        query_names = _query_names(self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            if role != PUBLIC:
                authorise(request, role)
            unknown = [name for name in request.query_params if name not in query_names]
            if unknown:
                raise RequestValidationError(
                    [{"loc": ("query", name), "msg": "unknown parameter", "type": "unknown"} for name in unknown]
                )
            response: Response = await handle(request)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return guarded


def _query_names(fields: Iterable[Any]) -> set[str]:
    names: set[str] = set()
    for field in fields:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= {info.alias or name for name, info in kind.model_fields.items()}
        else:
            names.add(field.alias)
    return names


def router() -> APIRouter:
    return APIRouter(route_class=StationRoute, responses=PROBLEM)


def needs(role: str) -> dict[str, Any]:
    """For a route's `openapi_extra`."""
    return {ROLE: role}


def caller_of(request: Request) -> Caller | None:
    """None: there is no token with the request, or an unknown one."""
    tokens = request.app.state.station.tokens
    if not tokens:
        return LOCAL
    token = token_of(request)
    return tokens.caller(token) if token else None


def token_of(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return token.strip()
    return request.cookies.get(cookie_of(request), "")


def cookie_of(request: Request) -> str:
    """Name of the cookie with the token. A browser gives the cookies of a host to all its ports, and does not let plain
    HTTP replace those of HTTPS: so the name has the scheme, the port where we listen and the port that was called."""
    here = (request.scope.get("server") or ("", 0))[1]
    called = request.headers.get("host", "").rpartition(":")[2]
    return f"trd-{request.url.scheme}-{here}-{called if called.isdecimal() else 'default'}"


def authorise(request: Request, role: str) -> None:
    caller = caller_of(request)
    if caller is None:
        if token_of(request):
            raise Problem(401, "unknown_token", "this token is not known here")
        raise Problem(401, "no_token", "this needs a token: 'Authorization: Bearer TOKEN', or sign in on the page")
    if not caller.may(role):
        raise Problem(403, "role", f"'{caller.name}' is {caller.role}; this needs the role {role}")
    request.state.caller = caller


def who(request: Request) -> str:
    caller: Caller = request.state.caller
    return caller.name
