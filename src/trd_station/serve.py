"""The HTTP server around a station, for `trd serve`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import uvicorn

from trd.errors import OutputError, RecipeError
from trd_station.addresses import is_loopback
from trd_station.api.app import create_app
from trd_station.station import Station

STOPPING = 20  # seconds that open requests get when the server is told to stop
CONNECTIONS = 512
KEEP_ALIVE = 120  # seconds: who sends a part now and then must not meet a connection that is being closed


def check_address(host: str, has_tokens: bool) -> None:
    """Raises RecipeError where the station would listen to other machines and anyone could call it."""
    if is_loopback(host) or has_tokens:
        return
    raise RecipeError(
        f"--host {host} is reached from other machines, and there is no token: add one for each person or machine with "
        "`trd station token DATA --name anna --role admin`, or leave --host out"
    )


def listening(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OutputError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        # elsewhere a port that is still closing may be taken again; on Windows that option shares one in use
        option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind((host, port))
    except OSError as error:
        raise OutputError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; choose another --port"
        ) from error
    return bound


def serve(
    station: Station,
    bound: socket.socket,
    hosts: Iterable[str] = (),
    prefix: str = "",
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Answer until the process is told to stop (Ctrl-C, SIGTERM); open requests are finished.

    hosts: names under which other machines call it. prefix: the path that a proxy has it under. on_ready: called once,
    when it answers.
    """
    app = create_app(station, hosts, prefix)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=STOPPING,
        timeout_keep_alive=KEEP_ALIVE,
        h11_max_incomplete_event_size=64 * 1024,
        lifespan="on",
    )
    server = _Server(config, station, on_ready)
    server.run(sockets=[bound])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, station: Station, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._station, self._on_ready = station, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._station.live.end()  # live streams never end by themselves
        await super().shutdown(sockets)
