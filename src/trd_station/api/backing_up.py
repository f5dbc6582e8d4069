"""The station as one archive, sent while it is made: a connection that ends before leaves a file that is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from anyio import CancelScope
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from trd_station import times
from trd_station.api.access import needs, router, who
from trd_station.api.common import station_of
from trd_station.backup.archive import Backup, note_backup
from trd_station.station import Station
from trd_station.store.verdicts import NewEvent

if TYPE_CHECKING:
    from typing_extensions import Buffer  # of collections.abc from Python 3.12 on

routes = router()


class _Pipe(io.RawIOBase):
    """What is written into it until it is taken."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        self._blocks.append(bytes(data))
        return len(self._blocks[-1])

    def taken(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)


@routes.get(
    "/v1/backup.zip",
    openapi_extra=needs("admin"),
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def backup(request: Request) -> StreamingResponse:
    """Database, files, models and settings of this moment: `trd station restore` makes a station of it."""
    station = station_of(request)
    opened = Backup(station.settings.data, station.settings.url)
    name = f"{times.day_of(times.now())}-station.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    return _Sent(opened, _blocks(station, opened, who(request)), headers)


class _Sent(StreamingResponse):
    """Lets go of the backup however it ends: of a client that leaves before the first block nobody asks for one."""

    def __init__(self, opened: Backup, blocks: Iterator[bytes], headers: dict[str, str]) -> None:
        super().__init__(blocks, media_type="application/zip", headers=headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._opened.close)


def _blocks(station: Station, opened: Backup, name: str) -> Iterator[bytes]:
    pipe = _Pipe()
    with opened as written:
        with zipfile.ZipFile(pipe, "w") as archive:
            for member in written.members:
                for _ in written.add(archive, member):
                    yield pipe.taken()
            for _ in written.finish(archive):
                yield pipe.taken()
        yield pipe.taken()
        note_backup(station.settings.data)
        archived = written.written
    station.report(NewEvent("info", "backup", f"an archive of {archived.inspections} inspections was sent to {name}"))
    for text in archived.lost:
        station.report(NewEvent("warning", "backup", f"not in the archive: {text}"))
