"""What the page of a part says beside its views, and where it leads."""

import sys
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pages import Files, Served, part_files, send, window


def test_a_part_leads_to_its_neighbours_of_the_same_request(browser: Any, served: Served, page_parts: Path) -> None:
    files = part_files(page_parts, "good", 0)
    made = send_together(served, files, 6)
    with window(browser, served) as opened:
        page = opened.open(f"part/{made[0]}")
        heading = page.locator("h1")
        newer, older = (page.get_by_role("button", name=f"{name} part") for name in ("Newer", "Older"))
        heading.get_by_text("same-0").wait_for()
        for number in range(1, 6):
            newer.click()
            heading.get_by_text(f"same-{number}").wait_for()
        assert newer.is_disabled()
        send(served, files, "later")
        newer.click()
        heading.get_by_text("later").wait_for()
        for number in reversed(range(6)):
            older.click()
            heading.get_by_text(f"same-{number}").wait_for()


def send_together(station: Served, files: Files, count: int) -> list[int]:
    """Parts of one request, "same-0" and so on; their identifiers."""
    given = [
        (name, (f"same-{number}{path.suffix}", path.read_bytes()))
        for name, path in (("rgb", files.rgb), ("xyz", files.xyz))
        for number in range(count)
    ]
    answer = httpx.post(f"{station.address}/v1/classes/biscuit/inspections", files=given, timeout=120)
    assert answer.status_code == 201, answer.text
    found = answer.json()["inspections"]
    assert len({one["at"] for one in found}) == 1
    return [one["id"] for one in found]
