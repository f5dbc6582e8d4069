"""A day's work in a real browser against the real service."""

import shutil
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pages import Files, Served, part_files, send, serving, window
from sqlalchemy import Connection, insert, select

from trd_station import times
from trd_station.store import history
from trd_station.store.schema import inspection


@pytest.mark.timeout(240)
def test_from_upload_to_recalibrated_limits(browser: Any, served: Served, page_parts: Path) -> None:
    with window(browser, served) as opened:
        page = opened.open("line")
        page.get_by_text("No part yet").wait_for()
        upload(page, part_files(page_parts, "chip", 0), "first")
        see_map_and_3d(page)
        mark_as_defect(page, "chip")
        for number in range(6):
            send(served, part_files(page_parts, "good", number), f"good-{number}")
        opened.open("review")
        call_good_by_keyboard(page, [f"good-{number}" for number in range(6)])
        opened.open("threshold")
        raise_the_limit(page, "50", "only the worst")
        recalibrate(page, 6, "six audited parts")
        opened.open("history")
        find_and_export(page)


def upload(page: Any, files: Files, name: str) -> None:
    page.get_by_role("button", name="Inspect from files").click()
    page.locator("dialog input[name=rgb]").set_input_files(files.rgb)
    page.locator("dialog input[name=xyz]").set_input_files(files.xyz)
    page.get_by_label("Name of the part").fill(name)
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.get_by_role("heading", name=name).wait_for()
    page.locator(".page-head .tag.reject").wait_for()


def see_map_and_3d(page: Any) -> None:
    page.locator(".view-3d[data-frames]").wait_for()
    page.get_by_role("button", name="Go to the peak").click()
    page.locator("[data-cursor]").wait_for()
    assert page.locator(".marker-3d:not([hidden])").count() == 1


def mark_as_defect(page: Any, kind: str) -> None:
    page.get_by_label("Kind of defect").fill(kind)
    page.get_by_role("button", name="Mark the place").click()
    box = page.locator(".tile-view canvas").first.bounding_box()
    row, column = box["y"] + box["height"] / 2, box["x"] + box["width"] / 2
    page.mouse.move(column, row)
    page.mouse.down()
    page.mouse.move(column + 20, row)
    page.mouse.up()
    page.get_by_role("button", name="Defect", exact=True).click()
    said = page.locator(".said")
    said.get_by_text(kind).wait_for()
    assert "place marked" in said.inner_text()


def call_good_by_keyboard(page: Any, names: list[str]) -> None:
    for name in names:  # one key a part
        page.locator(".page-head a", has_text=name).wait_for()
        page.keyboard.press("g")
    page.get_by_text("Nothing waits for a verdict").wait_for()


def raise_the_limit(page: Any, limit: str, reason: str) -> None:
    exact = page.get_by_role("textbox", name="Reject above")
    exact.fill(limit)
    exact.press("Enter")
    page.locator(".flips").get_by_text("first").wait_for()  # the part with the verdict defect would be let through
    page.get_by_role("button", name="Make it the new version").click()
    confirm(page, reason)


def recalibrate(page: Any, usable: int, reason: str) -> None:
    panel = page.locator(".recalibration")
    panel.get_by_label("Reject: rate").fill("20")
    panel.get_by_label("Review: rate").fill("40")
    panel.get_by_role("button", name="See what would change").click()
    panel.get_by_text("Usable parts").wait_for()
    assert panel.locator("dd").first.inner_text() == str(usable)
    panel.get_by_label("Review: rate").fill("30")  # what was shown is not for this rate
    panel.get_by_text("Usable parts").wait_for(state="detached")
    panel.get_by_role("button", name="See what would change").click()
    panel.get_by_role("button", name="Put in force").click()
    confirm(page, reason)


def confirm(page: Any, reason: str) -> None:
    answer(page, reason)
    page.locator("tr", has_text=reason).get_by_text("in force").wait_for()


def find_and_export(page: Any) -> None:
    page.get_by_text("7 parts").wait_for()
    page.get_by_role("group", name="Decision").get_by_role("button", name="Reject").click()
    page.get_by_label("Part begins with").fill("fi")
    page.get_by_text("1 part", exact=True).wait_for()
    row = page.locator("tbody tr")
    assert "first" in row.inner_text()
    assert "Defect" in row.inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    lines = Path(download.value.path()).read_text("utf-8").strip().splitlines()
    assert len(lines) == 2
    assert "first" in lines[1]
    row.get_by_role("link", name="first").click()
    page.get_by_role("heading", name="first").wait_for()


def test_the_line_shows_a_part_when_it_is_decided(browser: Any, served: Served, page_parts: Path) -> None:
    late: list[Any] = []
    with window(browser, served) as opened:
        opened.page.route("**/v1/inspections?*", lambda route: late.append((route, route.fetch())), times=1)
        page = opened.open("line")
        page.get_by_text("Ready").wait_for()
        for number, kind in enumerate(("good", "chip")):
            made = send(served, part_files(page_parts, kind, 0), f"live-{number}")
            page.locator(f".line-decision.{made['decision']}").get_by_text(f"live-{number}").wait_for()
            if number == 0:  # what was asked before it came is answered now, without it
                late[0][0].fulfill(response=late[0][1])
        assert page.locator(".line-strip li").count() == 2
        page.locator(".line-picture canvas").first.wait_for()
        page.clock.set_fixed_time(datetime.now() + timedelta(days=3))
        page.locator(".line-part .when").get_by_text(made["at"][:4]).wait_for()  # no longer of today: with its date


def test_the_marked_place_is_where_the_mouse_was(browser: Any, served: Served, page_parts: Path) -> None:
    made = send(served, part_files(page_parts, "chip", 0), "marked")
    with window(browser, served) as opened:
        page = opened.open(f"part/{made['id']}")
        page.get_by_role("button", name="Mark the place").click()
        box = page.locator(".tile-view canvas").first.bounding_box()
        page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
        page.mouse.down()
        page.mouse.up()
        row, column = map(int, page.locator("[data-cursor]").get_attribute("data-cursor").split(","))
        page.get_by_role("button", name="Unsure", exact=True).click()
        page.locator(".said").get_by_text("place marked").wait_for()
        mask = imagecodecs.png_decode(page.request.get(f"{served.address}/v1/verdicts/1/mask.png").body())
    marked = np.argwhere(np.asarray(mask).reshape(192, 192, -1)[..., 0] > 0)
    assert len(marked) > 8
    assert np.abs(marked.mean(axis=0) - (row, column)).max() < 0.5
    assert np.hypot(*(marked - (row, column)).T).max() <= 3


def copied(connection: Connection, number: int, count: int) -> None:
    """Rows as that of inspection `number`, "part-00" and so on, a second apart before it, whose files are gone."""
    row = dict(connection.execute(select(inspection).where(inspection.c.id == number)).mappings().one())
    del row["id"]
    for place in range(count):
        at = row["at"] - 1000 * (count - place)
        values = {**row, "uid": f"{place:016x}", "part": f"part-{place:02d}", "at": at, "pruned": True}
        connection.execute(insert(inspection).values(values))
        history.count_up(connection, row["class_id"], at // times.HOUR, row["decision"], 1)


def test_history_goes_by_pages_and_comes_back_to_them(browser: Any, served: Served, page_parts: Path) -> None:
    first = send(served, part_files(page_parts, "good", 0), "part-51")
    served.database.write(lambda connection: copied(connection, first["id"], 51))
    with window(browser, served) as opened:
        page = opened.open("history")
        page.get_by_text("52 parts").wait_for()
        assert page.locator("tbody tr").count() == 50
        page.get_by_role("button", name="Older").click()
        page.get_by_text("Page 2").wait_for()
        names = page.locator("tbody td.break:not(.small)")
        names.get_by_text("part-01").wait_for()
        assert names.all_inner_texts() == ["part-01", "part-00"]
        names.get_by_text("part-00").click()
        page.get_by_role("heading", name="part-00").wait_for()
        page.go_back()
        page.get_by_text("Page 2").wait_for()
        names.get_by_text("part-01").wait_for()
        page.get_by_role("button", name="Newer").click()
        names.get_by_text("part-51").wait_for()


def test_a_limit_is_dragged_and_found_by_its_rate(browser: Any, served: Served, page_parts: Path) -> None:
    for number, kind in enumerate(("good", "chip")):
        send(served, part_files(page_parts, kind, 0), f"part-{number}")
    with window(browser, served) as opened:
        page = opened.open("threshold")
        page.locator(".promise b").first.wait_for()
        exact = page.get_by_role("textbox", name="Reject above")
        before = float(exact.input_value())
        box = page.locator(".u-over").bounding_box()
        edges = page.request.get(f"{served.address}/v1/classes/biscuit/threshold/histogram?bins=80").json()["edges"]
        per_unit = box["width"] / (edges[-1] - edges[0])
        x, y = box["x"] + (before - edges[0]) * per_unit, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=4)
        page.mouse.up()
        assert float(exact.input_value()) == pytest.approx(before + 60 / per_unit, abs=2 / per_unit)
        assert page.get_by_role("button", name="Make it the new version").is_enabled()
        review = page.get_by_role("textbox", name="Review above")
        review.fill("0.125")  # not the one in force: it stays
        review.press("Enter")
        asked = f"{served.address}/v1/classes/biscuit/threshold/what-if"
        limit = page.request.get(f"{asked}?reject_rate=0.4").json()["reject_above"]
        with page.expect_response(lambda one: "reject_above=" in one.url) as then:
            page.get_by_label("False alarms among good parts").fill("40")
        assert then.value.json()["reject_above"] == limit
        assert then.value.json()["review_above"] == 0.125
        assert (exact.input_value(), review.input_value()) == (f"{limit:.3f}", "0.125")


def test_watch_shows_the_measure_that_is_chosen(browser: Any, served: Served, page_parts: Path) -> None:
    with window(browser, served) as opened:
        page = opened.open("watch")
        page.get_by_text("false alarm with at most 1").wait_for()
        assert page.get_by_text("Since").count() == 0  # without parts there is no beginning
        for number in range(3):
            send(served, part_files(page_parts, "good", number), f"part-{number}")
        page.reload()
        page.locator(".events").get_by_text("the station serves").wait_for()  # an event of no class
        chart = page.locator(".stream-chart")
        chart.get_by_role("heading", name="Score, all parts").wait_for()
        page.route("**/watch/plane?*", lambda route: route.abort())
        page.get_by_role("button", name="Distance of the support").click()
        page.get_by_role("alert").get_by_text("does not answer").wait_for()
        opened.faults.clear()  # the browser logs the failed request
        page.unroute("**/watch/plane?*")
        page.get_by_role("button", name="Try again").click()
        chart.get_by_role("heading", name="Distance of the support").wait_for()
        chart.get_by_text("3 of 20 parts").wait_for()
        chart.get_by_role("img", name="the last 3 parts").wait_for()
        row = page.locator("tr", has_text="Distance of the support")
        assert "400" in row.inner_text()  # millimetres from the camera, as drawn
        page.get_by_role("button", name="Restart all").click()
        answer(page, "a new table")
        chart.get_by_text("0 of 20 parts").wait_for()


@pytest.mark.timeout(240)
def test_the_line_finds_the_station_again(browser: Any, page_run: Path, page_parts: Path, tmp_path: Path) -> None:
    """The station stops and comes back: the page says so, and shows the part that it missed."""
    good, chip = part_files(page_parts, "good", 0), part_files(page_parts, "chip", 0)
    with ExitStack() as left_open:
        with serving(page_run, data=tmp_path / "station") as before:
            port = int(before.address.rsplit(":", 1)[1])
            send(before, good, "before")
            opened = left_open.enter_context(window(browser, before))
            page = opened.open("line")
            page.locator(".line-decision").get_by_text("before").wait_for()
        page.locator(".line.stale .line-warning").get_by_text("No connection").wait_for()
        with serving(page_run, data=tmp_path / "station", port=port) as again:
            send(again, chip, "meanwhile")
            page.locator(".line-decision.reject").get_by_text("meanwhile").wait_for()
            page.get_by_text("Ready").wait_for()
            assert page.locator(".line-warning").is_hidden()
            opened.faults.clear()  # the browser logs every attempt that failed


@pytest.mark.timeout(240)
def test_a_model_is_loaded_switched_to_and_rolled_back(
    browser: Any, page_run: Path, coarser_run: Path, page_parts: Path, quick_package: Path, tmp_path: Path
) -> None:
    with (
        serving(page_run, coarser_run, data=tmp_path / "station") as served,
        window(browser, served) as opened,
    ):
        page = opened.open("models")
        in_service = page.locator(".model-panel.serving")
        in_service.get_by_text("No. 1", exact=True).wait_for()
        assert page.get_by_role("button", name="Roll back").is_hidden()  # nothing served before
        coarser = page.locator(".found li", has_text="coarser/biscuit")
        coarser.get_by_role("button", name="Load and test").click()
        ready = page.locator(".model-panel.ready")
        ready.get_by_text("No. 2", exact=True).wait_for()
        ready.get_by_role("button", name="Self-test").click()
        page.get_by_role("status").get_by_text("Self-test passed").wait_for()
        ready.get_by_role("button", name="Switch to it").click()
        answer(page, "newer")
        in_service.get_by_text("No. 2", exact=True).wait_for()
        assert send(served, part_files(page_parts, "good", 1), "after")["model"] == 2
        page.get_by_role("button", name="Roll back").click()
        answer(page, "it was better before")
        in_service.get_by_text("No. 1", exact=True).wait_for()
        assert send(served, part_files(page_parts, "good", 2), "again")["model"] == 1
        send_a_damaged_and_a_whole_package(page, quick_package, tmp_path)
        opened.faults.clear()  # the browser logs the refused request


def test_a_model_that_could_not_be_read_is_shown_with_the_others(
    browser: Any, served: Served, page_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "station" / "models" / "broken"
    shutil.copytree(page_run / "biscuit", folder)
    weights = next(folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with window(browser, served) as opened:
        page = opened.open("models")
        page.locator(".found li", has_text="broken").get_by_role("button", name="Load and test").click()
        page.locator(".model-panel.failed").get_by_text("missing or truncated").wait_for()
        assert page.locator(".model-panel.serving").get_by_text("guaranteed").count() == 1
        opened.faults.clear()  # the browser logs the refused request


def send_a_damaged_and_a_whole_package(page: Any, whole: Path, folder: Path) -> None:
    cut = folder / "cut.trdm"
    cut.write_bytes(whole.read_bytes()[:-100])
    page.get_by_role("button", name="Send a package").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Package").set_input_files(cut)
    dialog.get_by_role("button", name="Send and test").click()
    dialog.get_by_role("alert").get_by_text("the body is no package").wait_for()  # the library's own words
    dialog.get_by_label("Package").set_input_files(whole)
    page.route("**/v1/settings", lambda route: route.fulfill(json={"max_model_bytes": 100_000}))
    dialog.get_by_role("button", name="Send and test").click()
    dialog.get_by_role("alert").get_by_text("at most 0.1 MB are taken").wait_for()
    page.unroute("**/v1/settings")
    # held back until the sending was seen
    page.route("**/models/package", lambda route: (dialog.locator("progress").wait_for(), route.continue_()))
    dialog.get_by_role("button", name="Send and test").click()
    page.get_by_role("status").get_by_text("Self-test passed. upload-").wait_for()
    assert dialog.count() == 0
    panel = page.locator(".model-panel.ready", has_text="upload-")
    panel.get_by_text("repeatable").wait_for()


def answer(page: Any, reason: str) -> None:
    page.locator("dialog textarea").fill(reason)
    page.locator("dialog button[type=submit]").click()
