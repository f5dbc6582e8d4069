"""The real service with a detector that is trained in seconds, and Debian's chromium to look at it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import Files, Served, part_files, send, serving, without_depth
from sharing import Shared, run_of

from trd.config import load_recipe
from trd.data.demo import CLASS_NAME, draw_demo

# the same engine without windows, tabs and extensions opens a page for a third of the processor time
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
SOFTWARE = (
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # WebGL without a graphics card
    "--disable-gpu-rasterization",  # text and boxes are not drawn by a graphics card that is not there
)
CONTAINED = ("--no-sandbox", "--disable-dev-shm-usage")  # what it has no rights or room for in a container


@pytest.fixture(scope="session")
def page_parts(shared: Shared[Path]) -> Path:
    """Drawn parts: enough good ones for a threshold of 5 %, and a few to inspect."""
    return shared("page-parts", lambda folder: draw_demo(folder, seed=1, train=8, validation=20, good=6, per_kind=2))


@pytest.fixture(scope="session")
def page_run(page_parts: Path, shared: Shared[Path]) -> Path:
    return shared("page-run", lambda folder: _trained(page_parts, folder, 192))


@pytest.fixture(scope="session")
def coarser_run(page_parts: Path, shared: Shared[Path]) -> Path:
    return shared("coarser-run", lambda folder: _trained(page_parts, folder, 96, "coarser"))


def _trained(parts: Path, folder: Path, size: int, name: str = "run") -> Path:
    recipe = load_recipe("patch-statistics", (f"frame.size={size}", "scoring.stand_ins=false"))
    return run_of(parts.parent, folder, recipe, [CLASS_NAME], name)


@pytest.fixture
def served(page_run: Path, tmp_path: Path) -> Iterator[Served]:
    """A station without any part."""
    with serving(page_run, data=tmp_path / "station") as one:
        yield one


@pytest.fixture(scope="session")
def filled(page_run: Path, page_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A station that has seen good parts, defective ones, and one without depth. Nobody sends it more."""
    with serving(page_run, data=tmp_path_factory.mktemp("station")) as one:
        for kind in ("good", "chip", "dent", "stain"):
            for number in range(2):
                send(one, part_files(page_parts, kind, number), f"{kind}-{number}")
        send(
            one, Files(part_files(page_parts, "good", 2).rgb, without_depth(tmp_path_factory.mktemp("bad"))), "no-depth"
        )
        yield one


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """chromium; tests that need it are skipped where it is missing. The fixtures of playwright's own pytest plug-in are
    not used: they would fetch a browser."""
    if CHROMIUM is None:
        pytest.skip("the page's tests need a browser: apt-get install chromium-headless-shell, or chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CONTAINED, *SOFTWARE])
        yield started
        started.close()
