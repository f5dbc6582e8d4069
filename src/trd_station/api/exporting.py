"""Judged parts as a zip of a data folder."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from trd_station.api.access import needs, router
from trd_station.api.common import Moment, class_id_of, milliseconds, station_of
from trd_station.export import entries

routes = router()

BLOCK = 1 << 18


class ExportQuery(BaseModel):
    verdict: str = Field("good,defect", max_length=40)
    since: Moment | None = None
    until: Moment | None = None


@routes.get(
    "/v1/classes/{class_name}/export.zip",
    openapi_extra=needs("engineer"),
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def export(request: Request, class_name: str, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    station = station_of(request)
    class_id_of(station, class_name)
    chosen = tuple(verdict for verdict in query.verdict.split(",") if verdict)
    packed = tempfile.TemporaryFile(dir=station.settings.data)  # noqa: SIM115 - closed when it was sent
    try:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for entry in entries(station, class_name, chosen, milliseconds(query.since), milliseconds(query.until)):
                archive.writestr(entry.place, entry.read())
    except BaseException:
        packed.close()
        raise
    packed.seek(0)
    headers = {"Content-Disposition": 'attachment; filename="parts.zip"'}
    return StreamingResponse(_blocks(packed), media_type="application/zip", headers=headers)


def _blocks(packed: IO[bytes]) -> Iterator[bytes]:
    with packed:
        while block := packed.read(BLOCK):
            yield block
