"""The page where a proxy has the station under a path."""

from pathlib import Path
from typing import Any

from pages import part_files, send, serving, window


def test_the_page_works_under_a_path(browser: Any, page_run: Path, page_parts: Path, tmp_path: Path) -> None:
    """Pictures, the live stream, and addresses that the browser follows by itself."""
    with (
        serving(page_run, data=tmp_path / "station", prefix="/factory/trd") as served,
        window(browser, served) as opened,
    ):
        page = opened.open("line")
        page.get_by_text("Ready").wait_for()
        send(served, part_files(page_parts, "chip", 0), "chip-0")
        page.locator(".line-strip li").first.wait_for()
        page = opened.open("part/1")
        page.locator(".view-3d[data-frames]").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="rgb").click()
        assert Path(download.value.path()).read_bytes() == part_files(page_parts, "chip", 0).rgb.read_bytes()
        page = opened.open("history")
        page.locator("tbody tr").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Export CSV").click()
        assert "chip-0" in Path(download.value.path()).read_text("utf-8")
        own = [one for one in opened.asked if not one.startswith(("blob:", "data:"))]
        assert len(own) > 30
        assert all(one.startswith(f"{served.address}/") for one in own)
