"""The README's picture of the page. With TRD_SCREENSHOT=docs/station.png it is put there."""

import io
import os
import shutil
from pathlib import Path
from typing import Any

from pages import HTTP, Look, Served, window
from PIL import Image

MOST_BYTES = 400_000


def test_screenshot_for_the_readme(browser: Any, filled: Served, tmp_path: Path) -> None:
    """The clearest defect, pointed at by the linked cursor."""
    rejected = HTTP.get(f"{filled.address}/v1/inspections?decision=reject").json()["inspections"]
    clearest = max(rejected, key=lambda one: one["score"])
    with window(browser, filled, Look(width=1180, height=740)) as opened:
        page = opened.open(f"part/{clearest['id']}")
        page.locator(".view-3d[data-frames]").wait_for()
        page.get_by_role("button", name="Go to the peak").click()
        page.locator(".marker-3d:not([hidden])").wait_for(state="attached")
        page.wait_for_timeout(1000)  # until everything rests
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = tmp_path / "station.png"
    picture.save(path, optimize=True)
    assert picture.size == (1180, 740)
    assert path.stat().st_size < MOST_BYTES
    assert len(picture.resize((118, 74)).getcolors(118 * 74) or ()) > 500  # pictures are in it
    if wanted := os.environ.get("TRD_SCREENSHOT"):
        shutil.copyfile(path, wanted)
