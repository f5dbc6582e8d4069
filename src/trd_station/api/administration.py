"""For who looks after the station: tokens, settings, inputs and outputs, disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from trd.errors import TRDError
from trd_station import times
from trd_station.api.access import needs, router, who
from trd_station.api.answers.administration import Administration, Changeable, NewToken, Tested, TokenList
from trd_station.api.answers.describing import Role, describe
from trd_station.api.common import station_of
from trd_station.api.problems import Problem
from trd_station.attachments import Attachment
from trd_station.backup.archive import last_backup
from trd_station.kept_settings import NAMES, KeptSettings
from trd_station.station import Station
from trd_station.store.database import place_of
from trd_station.store.verdicts import NewEvent
from trd_station.tokens import ROLES

routes = router()

ADMIN = needs(ROLES[-1])


@routes.get("/v1/administration", openapi_extra=ADMIN, responses=describe(Administration))
def administration(request: Request) -> dict[str, Any]:
    station = station_of(request)
    backed_up = last_backup(station.settings.data)
    return {
        "folder": str(station.settings.data.resolve()),
        "database": place_of(station.settings.url),
        "disk": _disk(station),
        "settings": _settings(station),
        "inputs": [_attached(attachment) for attachment in station.attachments.inputs],
        "outputs": [_attached(attachment) for attachment in station.attachments.outputs],
        "last_backup": times.to_iso_or_none(backed_up),
    }


def _disk(station: Station) -> dict[str, int]:
    usage = shutil.disk_usage(station.settings.data)
    return {
        "total_bytes": usage.total,
        "free_bytes": usage.free,
        "files_bytes": station.housekeeping.used_bytes,
        "database_bytes": _database_bytes(station),
    }


def _database_bytes(station: Station) -> int:
    url = station.settings.url
    if url.get_backend_name() == "sqlite":
        paths = (Path(f"{url.database}{ending}") for ending in ("", "-wal"))
        return sum(path.stat().st_size for path in paths if path.is_file())
    with station.database.reading() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def _settings(station: Station) -> dict[str, Any]:
    return {name: getattr(station.settings, name) for name in NAMES}


def _attached(attachment: Attachment) -> dict[str, Any]:
    state = attachment.state()
    return {
        "name": attachment.name,
        "where": attachment.where,
        "state": state.state,
        "fault": state.fault,
        "at": times.to_iso_or_none(state.at),
        "waiting": state.waiting,
    }


@routes.put("/v1/administration/settings", openapi_extra=ADMIN, responses=describe(Changeable))
def change(request: Request, body: KeptSettings) -> dict[str, Any]:
    """What is left out or null stays. It holds from the next part on and over the next start, where no option of the
    start sets it anew."""
    station = station_of(request)
    station.current_settings.change(body, who(request))
    return _settings(station)


@routes.post("/v1/administration/{kind}/{number}/test", openapi_extra=ADMIN, responses=describe(Tested))
def test(request: Request, kind: Literal["inputs", "outputs"], number: int) -> dict[str, Any]:
    """Try an input or output; number: its place in the list. Outputs send a test message."""
    attachments: list[Attachment] = getattr(station_of(request).attachments, kind)
    if not 0 <= number < len(attachments):
        raise Problem(404, "no_attachment", f"there are {len(attachments)} {kind}, counted from 0")
    try:
        return {"passed": True, "text": attachments[number].test()}
    except TRDError as error:
        return {"passed": False, "text": str(error)}


@routes.get("/v1/tokens", openapi_extra=ADMIN, responses=describe(TokenList))
def tokens(request: Request) -> dict[str, Any]:
    known = station_of(request).tokens
    known.reread()
    entries = [
        {
            "name": caller.name,
            "role": caller.role,
            "made": times.to_iso_or_none(caller.made),
            "seen": times.to_iso_or_none(known.seen(caller.name)),
        }
        for caller in sorted(known.callers, key=lambda caller: caller.name)
    ]
    return {"tokens": entries}


class WantedToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    role: Role


@routes.post("/v1/tokens", status_code=201, openapi_extra=ADMIN, responses=describe(NewToken, 201))
def add(request: Request, body: WantedToken) -> dict[str, Any]:
    """The token is in this answer alone. The first one must be an admin's: from then on everyone needs one."""
    station = station_of(request)
    with station.changing:
        if any(caller.name == body.name for caller in station.tokens.callers):
            raise Problem(409, "conflict", f"there is a token of '{body.name}': take it away first")
        if not station.tokens and body.role != ROLES[-1]:
            raise Problem(409, "conflict", "the first token must be an admin's, else nobody could make another here")
        token = station.tokens.add(body.name, body.role)
    _noted(station, f"{who(request)} made a token for {body.name} ({body.role})")
    return {"name": body.name, "role": body.role, "token": token}


@routes.delete("/v1/tokens", openapi_extra=ADMIN, responses=describe(TokenList))
def remove(request: Request, name: Annotated[str, Query(min_length=1, max_length=100)]) -> dict[str, Any]:
    """It is refused from the next request on."""
    station = station_of(request)
    with station.changing:
        known = {caller.name: caller for caller in station.tokens.callers}
        if name not in known:
            raise Problem(404, "no_token_of", f"there is no token of '{name}'")
        admins = [caller for caller in known.values() if caller.role == ROLES[-1]]
        if admins == [known[name]]:
            raise Problem(409, "conflict", "this is the last admin's token: make another one first")
        station.tokens.remove(name)
    _noted(station, f"{who(request)} took away the token of {name}")
    return tokens(request)


def _noted(station: Station, what: str) -> None:
    station.report(NewEvent("info", "token", what))
