"""A class is taught on the page, from an empty station to the first part that is inspected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cameras import BrighteningCamera
from jobs import jobs_in_this_process
from pages import HTTP, Files, Served, send, serious_findings, serving, window
from recipes import TINY as TINY_NETWORK
from stations import until

from trd_station.inputs import live_camera

TINY = "frame.size=64\nscoring.stand_ins=false"
DONE_MS = 90_000


@pytest.fixture
def empty(tmp_path: Path) -> Any:
    with serving(data=tmp_path / "station") as one:
        yield one


@pytest.mark.timeout(240)
def test_from_an_empty_station_to_the_first_part(
    browser: Any, empty: Served, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_in_this_process(monkeypatch)
    with window(browser, empty) as opened:
        page = opened.open("line")
        page.get_by_role("link", name="Teach your first part").click()
        page.get_by_role("button", name="New class").first.click()
        page.get_by_label("Name").fill("biscuit")
        page.get_by_role("button", name="Create").click()
        page.locator(".counter .count", has_text="0").wait_for()
        train = page.locator(".train-panel[data-step=first]")
        assert train.get_by_role("button", name="Train").is_disabled()
        collect(page, drawn / "biscuit")
        choose(page, "first", "patch-statistics", TINY)
        draw_a_region(page, empty)
        check(page)
        assert not serious_findings(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        train_and_serve(page, "first")
        page.get_by_role("button", name="Inspect from files").wait_for()
        assert page.get_by_label("Class of parts", exact=True).input_value() == "biscuit"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_network_follows_is_compared_and_rolled_back(browser: Any, empty: Served, drawn: Path) -> None:
    with window(browser, empty) as opened:
        HTTP.post(f"{empty.address}/v1/teaching", json={"name": "biscuit", "layout": "colour and 3D"})
        page = opened.open("teach/biscuit")
        collect(page, drawn / "biscuit")
        choose(page, "first", "patch-statistics", TINY)
        first = train_and_serve(page, "first")
        for kind, verdict in (("good", "good"), ("chip", "defect"), ("dent", "defect"), ("stain", "defect")):
            folder = drawn / "biscuit/test" / kind
            told = send(empty, Files(folder / "rgb/000.png", folder / "xyz/000.tiff"), kind)
            judged = f"{empty.address}/v1/inspections/{told['id']}/verdicts"
            assert HTTP.post(judged, json={"verdict": verdict}).status_code == 201
        choose(page, "network", "lite-residual", "\n".join(TINY_NETWORK))
        network = train_and_serve(page, "network")
        trial(page, first, network)
        opened.open("models")
        page.get_by_role("button", name="Score beside").click()
        page.locator(".shadow-panel").get_by_text("Scoring").wait_for(timeout=DONE_MS)
        send(empty, Files(folder / "rgb/000.png", folder / "xyz/000.tiff"), "beside")
        shadow = f"{empty.address}/v1/classes/biscuit/shadow"
        until(lambda: HTTP.get(shadow).json()["shadow"]["parts"] == 1)
        opened.page.reload()
        page.locator(".shadow-panel tbody tr").wait_for()
        assert not serious_findings(page)
        page.locator(".shadow-panel").get_by_role("button", name="End it").click()
        page.locator(".shadow-panel").get_by_text("Ended").wait_for()
        page.get_by_role("button", name="Roll back").click()
        page.locator("dialog textarea").fill("it found less")
        page.locator("dialog").get_by_role("button", name="Roll back").click()
        page.get_by_text(f"{first} serves.").wait_for()


def trial(page: Any, first: str, network: str) -> None:
    panel = page.locator(".trial-panel")
    panel.get_by_label(first).wait_for()
    panel.get_by_role("button", name="Try on judged parts").click()
    rows = panel.locator("tbody tr")
    rows.filter(has_text=network).get_by_text("Serving").wait_for(timeout=DONE_MS)
    assert not serious_findings(page)
    assert "/ 3" in rows.filter(has_text=first).inner_text()
    assert panel.locator("figure img").count() == 2 * panel.locator(".strangest li").count()


def test_a_camera_is_looked_at_and_taken_from(browser: Any, empty: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_camera, "VideoCamera", BrighteningCamera)
    HTTP.post(f"{empty.address}/v1/teaching", json={"name": "plate", "layout": "colour"})
    with window(browser, empty) as opened:
        page = opened.open("teach/plate")
        page.get_by_text("From a camera").click()
        page.get_by_role("button", name="Live picture").click()
        until(lambda: page.wait_for_timeout(50) or sum("camera.jpg" in one for one in opened.asked) > 2)
        page.get_by_role("button", name="Live picture").click()
        for count in ("1", "2"):
            page.get_by_role("button", name="Take this part").click()
            page.locator(".counter .count", has_text=count).wait_for()
        page.locator(".good-parts img").nth(1).wait_for()


def collect(page: Any, folder: Path) -> None:
    page.get_by_label("Choose a folder").set_input_files(folder)
    page.get_by_text("10 parts were collected.").wait_for()
    page.get_by_text("files of test parts and masks were left out").wait_for()
    page.locator(".counter .count", has_text="10").wait_for()
    page.get_by_role("button", name="Discard 000-2", exact=True).click()
    page.locator(".counter .count", has_text="9").wait_for()
    page.get_by_role("button", name="Discard 000-2", exact=True).wait_for(state="detached")
    assert page.locator(".good-parts img").count() == 9


def draw_a_region(page: Any, station: Served) -> None:
    drawing = page.locator(".region-drawing")
    page.locator(".region-picture").evaluate(
        "async (picture) => { while (!picture.naturalWidth) await picture.decode().catch(() => {}); }"
    )
    box = drawing.bounding_box()
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.1)):
        drawing.click(position={"x": x * box["width"], "y": y * box["height"]})
    page.get_by_role("button", name="Keep the region").click()
    page.get_by_text("The region holds for what is trained").wait_for()
    (polygon,) = HTTP.get(f"{station.address}/v1/teaching/biscuit").json()["inspect"]
    assert polygon == [
        pytest.approx(corner, abs=1) for corner in ((19.2, 19.2), (172.8, 19.2), (172.8, 172.8), (19.2, 172.8))
    ]


def check(page: Any) -> None:
    page.get_by_role("button", name="Check the parts").click()
    page.get_by_text("Strangest parts first").wait_for(timeout=DONE_MS)
    assert page.locator(".strangest li").count() >= 9
    page.locator(".check-panel .note", has_text="parts are few to train on").wait_for()


def choose(page: Any, step: str, recipe: str, settings: str) -> None:
    panel = page.locator(f".train-panel[data-step={step}]")
    panel.get_by_text("Another recipe").click()
    panel.get_by_label("Recipe").select_option(recipe)
    panel.get_by_label("Settings").fill(settings)


def train_and_serve(page: Any, step: str) -> str:
    """The name of the model that serves then."""
    panel = page.locator(f".train-panel[data-step={step}]")
    panel.get_by_role("button", name="Train").click()
    panel.locator(".job .tag.ok").wait_for(timeout=DONE_MS)
    name = panel.locator(".job b").inner_text()
    panel.get_by_role("button", name="Put in service").click()
    page.locator("dialog textarea").fill("to see")
    page.locator("dialog").get_by_role("button", name="Put in service").click()
    page.get_by_text(f"{name} serves.").wait_for()
    return str(name)
