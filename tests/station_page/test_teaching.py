"""A class is taught on the page, from an empty station to the first part that is inspected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cameras import BrighteningCamera
from jobs import jobs_in_this_process
from pages import HTTP, Files, Served, Window, send, serious_findings, serving, window
from recipes import TINY as TINY_NETWORK
from stations import until

from trd_station.backup.restore import restore
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
@pytest.mark.timeout(900)
def test_the_whole_way_on_the_page(browser: Any, empty: Served, drawn: Path, tmp_path: Path) -> None:
    """From an empty folder to a station elsewhere that gives the same scores; each job in its process."""
    with window(browser, empty) as opened:
        page = opened.open("teach")
        page.get_by_role("button", name="New class").first.click()
        page.get_by_label("Name").fill("biscuit")
        page.get_by_role("button", name="Create").click()
        collect(page, drawn / "biscuit")
        choose(page, "first", "patch-statistics", TINY)
        first = train_and_serve(page, "first")
        for kind, verdict in (("good", "Good"), ("chip", "Defect"), ("dent", "Defect"), ("stain", "Defect")):
            inspect_and_judge(opened, drawn / "biscuit/test" / kind, kind, verdict)
        opened.open("teach/biscuit")
        choose(page, "network", "lite-residual", "\n".join(TINY_NETWORK))
        network = train_and_serve(page, "network")
        trial(page, first, network)
        beside(opened, drawn / "biscuit/test/chip")
        by_network = inspect_and_judge(opened, drawn / "biscuit/test/chip", "by the network", "Defect")
        opened.open("models")
        roll_back(page, first)
        opened.open("administration")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download a backup").click()
        archive = Path(download.value.path())
        before = judged_parts(empty)
        restore(archive, tmp_path / "elsewhere")
    with serving(data=tmp_path / "elsewhere") as elsewhere, window(browser, elsewhere) as opened:
        assert judged_parts(elsewhere) == before
        parts = HTTP.get(f"{elsewhere.address}/v1/teaching/biscuit/parts").json()["parts"]
        assert len(parts) == 9
        for kind in ("good", "chip", "dent", "stain"):
            again = inspect_and_judge(opened, drawn / "biscuit/test" / kind, f"{kind} again", None)
            assert again["model"] == before[kind]["model"]
            assert (again["score"], again["decision"]) == (before[kind]["score"], before[kind]["decision"])
        page = opened.open("models")
        roll_back(page, network)
        again = inspect_and_judge(opened, drawn / "biscuit/test/chip", "by the network again", None)
        assert (again["model"], again["score"]) == (by_network["model"], by_network["score"])


def roll_back(page: Any, name: str) -> None:
    page.get_by_role("button", name="Roll back").click()
    page.locator("dialog textarea").fill("to see")
    page.locator("dialog").get_by_role("button", name="Roll back").click()
    page.get_by_text(f"{name} serves.").wait_for()


def inspect_and_judge(opened: Window, folder: Path, name: str, verdict: str | None) -> dict[str, Any]:
    """The part's inspection, sent from files on the page."""
    page = opened.open("line")
    page.get_by_role("button", name="Inspect from files").click()
    page.locator("dialog input[name=rgb]").set_input_files(folder / "rgb/000.png")
    page.locator("dialog input[name=xyz]").set_input_files(folder / "xyz/000.tiff")
    page.get_by_label("Name of the part").fill(name)
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    if verdict is not None:
        page.get_by_role("button", name=verdict, exact=True).click()
        page.locator(".said").get_by_text(verdict).wait_for()
    number = page.url.rpartition("/")[2]
    return dict(HTTP.get(f"{opened.station.address}/v1/inspections/{number}").json())


def judged_parts(station: Served) -> dict[str, dict[str, Any]]:
    """By name, those with a verdict."""
    told = HTTP.get(f"{station.address}/v1/inspections?verdict=any").json()["inspections"]
    return {one["part"]: one for one in told}


def beside(opened: Window, folder: Path) -> None:
    """The earlier model as a shadow of the one that serves."""
    page = opened.open("models")
    page.get_by_role("button", name="Score beside").click()
    page.locator(".shadow-panel").get_by_text("Scoring").wait_for(timeout=DONE_MS)
    send(opened.station, Files(folder / "rgb/000.png", folder / "xyz/000.tiff"), "beside")
    shadow = f"{opened.station.address}/v1/classes/biscuit/shadow"
    until(lambda: HTTP.get(shadow).json()["shadow"]["parts"] == 1, DONE_MS / 1000)
    page.reload()
    page.locator(".shadow-panel tbody tr").wait_for()
    assert not serious_findings(page)
    page.locator(".shadow-panel").get_by_role("button", name="End it").click()
    page.locator(".shadow-panel").get_by_text("Ended").wait_for()


def trial(page: Any, first: str, network: str) -> None:
    panel = page.locator(".trial-panel")
    panel.get_by_label(first).wait_for()
    panel.get_by_role("button", name="Try on judged parts").click()
    rows = panel.locator("tbody tr")
    rows.filter(has_text=network).get_by_text("Serving").wait_for(timeout=DONE_MS)
    assert not serious_findings(page)
    assert "/ 3" in rows.filter(has_text=first).inner_text()
    assert panel.locator("figure img").count() == 2 * panel.locator(".strangest li").count()


def test_3d_alone_has_no_network_to_train(browser: Any, empty: Served, drawn: Path) -> None:
    with window(browser, empty) as opened:
        page = opened.open("teach")
        page.get_by_role("button", name="New class").first.click()
        page.get_by_label("Name").fill("relief")
        page.get_by_label("Files of a part").select_option("3D")
        page.get_by_role("button", name="Create").click()
        page.get_by_label("Choose a folder").set_input_files(drawn / "biscuit/train")
        page.get_by_text("6 parts were collected.").wait_for()
        page.locator(".good-parts img").nth(5).wait_for()
        page.locator(".train-panel[data-step=first]").wait_for()
        assert page.locator(".train-panel").count() == 1
        assert page.locator(".train-panel select").input_value() == "lite-normals"
        assert not serious_findings(page)


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
    page.get_by_text(f"{name} serves.").wait_for(timeout=DONE_MS)
    return str(name)
