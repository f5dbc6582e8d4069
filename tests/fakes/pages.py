"""A running station and a browser window on its page, for the tests of the page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from trd.data.demo import CLASS_NAME

if TYPE_CHECKING:
    from trd_station.running import Attached
    from trd_station.store.database import Database

WAIT_MS = 60_000  # beside an installation that fills the disk, what is put on it may take many seconds
HTTP = httpx.Client(verify=False, timeout=120)  # no TLS here: reading the authorities takes longer than a request
AXE = Path(__file__).parents[1] / "station_page" / "vendor" / "axe-core" / "axe.min.js"


@dataclass(frozen=True)
class Served:
    """A running station: where it answers, a token of each role where it has some, and its database."""

    address: str
    tokens: dict[str, str]
    database: Database


@dataclass(frozen=True)
class Files:
    """A part to send."""

    rgb: Path
    xyz: Path


@contextmanager
def serving(
    *runs: Path | str,
    data: Path,
    roles: tuple[str, ...] = (),
    port: int = 0,
    prefix: str = "",
    attached: Attached | None = None,
) -> Iterator[Served]:
    """`trd serve` within this process, every part drawn for audit. port: 0 for any free one."""
    import uvicorn

    from trd_station.api.app import create_app
    from trd_station.running import attach
    from trd_station.serve import listening
    from trd_station.settings import Settings
    from trd_station.station import Station
    from trd_station.tokens import Tokens

    data.mkdir(parents=True, exist_ok=True)
    known = Tokens(data)
    tokens = {role: known.add(role, role) for role in roles}
    with listening("127.0.0.1", port) as bound:
        station = Station.open(Settings(data, "station-1", device="cpu", audit_rate=1.0), [str(run) for run in runs])
        server = uvicorn.Server(uvicorn.Config(create_app(station, prefix=prefix), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        bound.listen()  # who asks before the server does is answered then
        stack = ExitStack()
        try:
            if attached is not None:
                attach(station, attached, stack)
            yield Served(f"http://127.0.0.1:{bound.getsockname()[1]}{prefix}", tokens, station.database)
        finally:
            stack.close()
            station.live.end()  # live streams never end by themselves
            server.should_exit = True
            thread.join(20)
            station.close()


def part_files(parts: Path, kind: str, number: int) -> Files:
    folder = parts / "test" / kind
    return Files(folder / "rgb" / f"{number:03d}.png", folder / "xyz" / f"{number:03d}.tiff")


def without_depth(folder: Path) -> Path:
    import numpy as np
    import tifffile

    path = folder / "empty.tiff"
    tifffile.imwrite(path, np.zeros((192, 192, 3), np.float32), photometric="rgb")
    return path


def send(station: Served, files: Files, part: str, class_name: str = CLASS_NAME) -> dict[str, Any]:
    """Inspect a part by the interface; its inspection."""
    given = {name: (path.name, path.read_bytes()) for name, path in (("rgb", files.rgb), ("xyz", files.xyz))}
    answer = HTTP.post(f"{station.address}/v1/classes/{class_name}/inspections", files=given, data={"part": part})
    assert answer.status_code == 201, answer.text
    (inspection,) = answer.json()["inspections"]
    return dict(inspection)


@dataclass(frozen=True)
class Look:
    """How someone looks at the page."""

    theme: str = "light"
    language: str = "en-GB"
    width: int = 1600
    height: int = 1000
    touch: bool = False


class Window:
    """A page of the browser that notes what it asked for and what went wrong."""

    def __init__(self, browser: Any, station: Served, look: Look) -> None:
        self.station = station
        self.context = browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.theme,
            locale=look.language,
            has_touch=look.touch,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(f"{error}\n{error.stack}"))
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.faults.append(said.text))

    def open(self, place: str) -> Any:
        """The playwright page at a place like "part/3"."""
        self.page.goto(f"{self.station.address}/#/{place}")
        return self.page


@contextmanager
def window(browser: Any, station: Served, look: Look | None = None) -> Iterator[Window]:
    """Closed at the end; fails where the page logged an error or warned."""
    one = Window(browser, station, look or Look())
    try:
        yield one
        assert not one.faults
    finally:
        one.context.close()


def serious_findings(page: Any) -> list[str]:
    """What axe-core finds wrong with the page as it is now, a line each."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert result["passes"]  # it did look
    return [
        f"{page.url}: {one['impact']} {one['id']} at {one['nodes'][0]['target']}"
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


WORDS = re.compile(r"\b(the|of|and|is|are|were|with|not|has|have|from|this|that|parts?|last)\b", re.IGNORECASE)


def english(page: Any) -> list[str]:
    """What is shown or read out and is not German: marked as English, or with a word that only English has."""
    texts = page.evaluate(
        """() => {
            const shown = (one) => one.checkVisibility() || one.closest('.unseen');
            const marked = [...document.querySelectorAll('body [lang=en]')].filter(shown).map((one) => one.textContent);
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const written = [];
            while (walker.nextNode()) {
                const place = walker.currentNode.parentElement; // what stands in code is a path or a name of the user's
                if (shown(place) && !place.closest('code')) written.push(walker.currentNode.data);
            }
            const told = ['title', 'aria-label', 'placeholder', 'alt'].flatMap((name) =>
                [...document.body.querySelectorAll(`[${name}]`)].map((one) => one.getAttribute(name)));
            return [marked, [...written, ...told]];
        }"""
    )
    marked, others = ([text.strip() for text in some if text.strip()] for some in texts)
    assert len(others) > 20  # it did look
    return [*marked, *(text for text in others if WORDS.search(text))]
