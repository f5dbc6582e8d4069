"""What the page of a part says beside its views, and where it leads."""

import re
from pathlib import Path
from typing import Any

from pages import HTTP, Files, Served, part_files, send, window


def test_a_part_leads_to_its_neighbours_of_the_same_request(browser: Any, served: Served, page_parts: Path) -> None:
    files = part_files(page_parts, "good", 0)
    made = send_together(served, files, 3)
    with window(browser, served) as opened:
        page = opened.open(f"part/{made[0]}")
        heading = page.locator("h1")
        newer, older = (page.get_by_role("button", name=f"{name} part") for name in ("Newer", "Older"))
        heading.get_by_text("same-0").wait_for()
        for number in (1, 2):
            newer.click()
            heading.get_by_text(f"same-{number}").wait_for()
        assert newer.is_disabled()
        send(served, files, "later")
        newer.click()
        heading.get_by_text("later").wait_for()
        for number in (2, 1, 0):
            older.click()
            heading.get_by_text(f"same-{number}").wait_for()


def test_measures_have_their_units_and_places_wait_for_the_cloud(browser: Any, filled: Served) -> None:
    with window(browser, filled) as opened:
        page = opened.page
        held: dict[str, Any] = {}
        page.route("**/cloud.bin", lambda route: held.update(cloud=route))
        opened.open("part/1")
        page.get_by_role("button", name="Go to the peak").click()
        page.locator("dt:has-text('x, y, z') + dd:text-is('\u2013')").wait_for()
        distance, tilt = (page.locator(f"dt:text-is('{one} of the support') + dd") for one in ("Distance", "Tilt"))
        assert re.fullmatch(r"4\d\d\.\d\d mm", distance.inner_text())
        assert tilt.inner_text().endswith("°")
        held["cloud"].continue_()
        page.locator("dt:has-text('x, y, z') + dd:has-text(' mm')").wait_for()


def test_history_says_that_a_csv_ends(browser: Any, filled: Served) -> None:
    with window(browser, filled) as opened:
        page = opened.open("history")
        page.get_by_text("9 parts").wait_for()
        said = page.get_by_text("The CSV holds at most the newest 100,000 parts.")
        assert said.count() == 0
        page.route("**/inspections/count*", lambda route: route.fulfill(json={"count": 100_001, "exact": True}))
        page.reload()
        said.wait_for()


def test_a_hidden_page_has_no_stream_and_catches_up(browser: Any, served: Served, page_parts: Path) -> None:
    files = part_files(page_parts, "good", 0)
    with window(browser, served) as opened:
        page = opened.open("line")
        page.get_by_text("Ready").wait_for()
        send(served, files, "seen")
        shown = page.locator(".line-decision")
        shown.get_by_text("seen").wait_for()
        hide(page, True)
        send(served, files, "unseen")
        page.wait_for_timeout(500)
        assert "unseen" not in shown.inner_text()
        hide(page, False)
        shown.get_by_text("unseen").wait_for()
        page.get_by_text("Ready").wait_for()
        send(served, files, "live")
        shown.get_by_text("live").wait_for()
        assert sum("/v1/live" in one for one in opened.asked) == 2


def hide(page: Any, hidden: bool) -> None:
    """As a browser does where another tab is looked at."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def send_together(station: Served, files: Files, count: int) -> list[int]:
    """Parts of one request, "same-0" and so on; their identifiers."""
    given = [
        (name, (f"same-{number}{path.suffix}", path.read_bytes()))
        for name, path in (("rgb", files.rgb), ("xyz", files.xyz))
        for number in range(count)
    ]
    answer = HTTP.post(f"{station.address}/v1/classes/biscuit/inspections", files=given)
    assert answer.status_code == 201, answer.text
    found = answer.json()["inspections"]
    assert len({one["at"] for one in found}) == 1
    return [one["id"] for one in found]
