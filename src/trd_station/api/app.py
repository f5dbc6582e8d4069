"""The application: routes, problems, the shield, and the page's files."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from trd_station.api import (
    administration,
    alarms,
    backing_up,
    collecting,
    comparing,
    exporting,
    find,
    inspect,
    jobs,
    lessons,
    media,
    model_upload,
    models,
    operation,
    problems,
    recalibrating,
    review,
    shadow,
    teaching,
    threshold,
    watching,
)
from trd_station.api.answers.describing import StationApp
from trd_station.api.bounded import Bounded
from trd_station.api.lingering import Lingering
from trd_station.api.prefix import Prefix
from trd_station.api.shield import LOOPBACK, Shield
from trd_station.inputs.live_camera import LiveCamera
from trd_station.station import Station

PAGE = Path(__file__).parents[1] / "page"
MODULES = (
    *(operation, inspect, find, media, review, threshold, recalibrating, models, model_upload, watching, exporting),
    *(administration, backing_up, alarms, comparing, teaching, collecting, jobs, lessons, shadow),
)


class Page(StaticFiles):
    """Asked for again each time (an unchanged file is not sent again): a new version shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(station: Station, hosts: Iterable[str] = (), prefix: str = "") -> FastAPI:
    """hosts: further names under which it may be called. prefix: the path under which a proxy has it, whether or not
    the proxy leaves it out of what it passes on."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        station.live.attach(asyncio.get_running_loop())
        yield
        station.live.end()
        app.state.camera.close()

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a line for each damaged form would fill the log
    app = StationApp(
        title="TRD inspection station",
        version=station.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        redirect_slashes=False,
    )
    app.state.station = station
    app.state.working = set()
    app.state.camera = LiveCamera()
    problems.install(app)
    for module in MODULES:
        app.include_router(module.routes)
    if (PAGE / "index.html").is_file():
        # systems differ in what they take these for, and browsers refuse scripts of another type
        for suffix, kind in ((".js", "text/javascript"), (".mjs", "text/javascript"), (".woff2", "font/woff2")):
            mimetypes.add_type(kind, suffix)
        app.mount("/", Page(directory=PAGE, html=True), name="page")
    app.add_middleware(Bounded)
    if prefix:
        app.add_middleware(Prefix, prefix=prefix)
    app.add_middleware(Shield, hosts=(*LOOPBACK, *hosts))
    app.add_middleware(Lingering)  # around the shield, whose answers it delays too
    return app
