"""Verdicts with marks become a lesson on the page: tried, put in service, taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from jobs import jobs_in_this_process
from lessons import better, judge_defects, reject_good
from pages import HTTP, Files, Look, Served, english, send, serious_findings, serving, window

DONE_MS = 60_000
NARROW = Look(theme="dark", language="de-DE", width=390, height=844)


@pytest.fixture
def station(quick_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    jobs_in_this_process(monkeypatch)
    better(monkeypatch)
    with serving(quick_run, data=tmp_path / "station") as one:
        yield one


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_from_verdicts_to_a_lesson_and_back(browser: Any, station: Served, labelled: Path) -> None:
    client = httpx.Client(base_url=station.address, verify=False, timeout=120)
    with window(browser, station) as opened:
        page = opened.open("models")
        panel = page.locator(".lessons-panel")
        panel.get_by_text("5 more defects are needed").wait_for()
        teach = panel.get_by_role("button", name="Teach the verdicts")
        assert teach.is_disabled()
        judge_defects(client, labelled)
        panel.get_by_text("6 defective parts can be taught").wait_for()  # it heard of the verdicts
        panel.get_by_text("The 6 parts, to look at").click()
        panel.get_by_label("Teach chip-001").uncheck()
        panel.get_by_label("Teach chip-000").uncheck()
        panel.get_by_text("4 parts are too few").wait_for()
        assert teach.is_disabled()
        panel.get_by_label("Teach chip-000").check()
        teach.click()
        lesson = panel.locator("article.lesson")
        lesson.get_by_text("Taught", exact=True).wait_for(timeout=DONE_MS)
        assert "chip: 1, 1 with a mark" in lesson.inner_text()
        assert "[object" not in lesson.inner_text()
        lesson.get_by_text("Parts and verdicts it was taught").click()
        lesson.get_by_role("link", name="dent-001").first.wait_for()
        lesson.get_by_role("button", name="Try on judged parts").click()
        lesson.get_by_text("On judged parts that the lesson was not taught").click()
        lesson.get_by_text("1 judged part. 5 were left out").wait_for(timeout=DONE_MS)
        lesson.get_by_role("button", name="Put in service").first.click()
        confirm(page, "Put in service", "it finds more")
        panel.locator("article.lesson > .row .tag.ok").wait_for()
        part = send(station, Files(labelled / "good/rgb/000.png", labelled / "good/xyz/000.tiff"), "audited")
        HTTP.post(f"{station.address}/v1/inspections/{part['id']}/verdicts", json={"verdict": "good"})
        lesson.get_by_role("button", name="Score them by both now").click()
        lesson.get_by_text("scored by both models").wait_for(timeout=DONE_MS)
        assert not serious_findings(page)
        lesson.get_by_role("button", name="Take it back").click()
        confirm(page, "Take it back", "it rejects too much")
        lesson.get_by_text("Taken back", exact=True).wait_for()
        lesson.get_by_text("ended by local: it rejects too much").wait_for()
    with window(browser, station, NARROW) as opened:
        page = opened.open("models")
        page.locator(".lesson").get_by_text("Zurückgenommen", exact=True).wait_for()
        page.locator(".lessons-panel summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not serious_findings(page)
        assert not english(page)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_good_parts_that_look_like_defects_are_looked_at(
    browser: Any, station: Served, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    better(monkeypatch, alike=2)
    client = httpx.Client(base_url=station.address, verify=False, timeout=120)
    judge_defects(client, labelled)
    reject_good(client, labelled)
    with window(browser, station) as opened:
        panel = opened.open("models").locator(".lessons-panel")
        panel.get_by_text("6 good parts were rejected and can be taken in").wait_for()
        panel.get_by_label("Teach the defects").uncheck()
        panel.get_by_text("The 6 defects are not taught").wait_for()
        panel.get_by_role("button", name="Teach the verdicts").click()
        lesson = panel.locator("article.lesson").first
        lesson.get_by_text("Look again", exact=True).wait_for(timeout=DONE_MS)
        assert lesson.get_by_role("link").all_inner_texts() == ["good-001", "good-000"]
        lesson.get_by_label("These are good, I have looked").check()
        lesson.get_by_role("button", name="Teach again").click()
        lesson.get_by_text("Taught", exact=True).wait_for(timeout=DONE_MS)
        lesson.get_by_text("local has looked at 2 that look like defects").wait_for()
        assert "[object" not in panel.inner_text()


def test_a_detector_that_cannot_learn_says_why_in_german(browser: Any, quick_package: Path, tmp_path: Path) -> None:
    with serving(quick_package, data=tmp_path / "station") as one, window(browser, one, NARROW) as opened:
        page = opened.open("models")
        page.get_by_text("ist ein Paket, das nicht lernen kann").wait_for()
        assert page.get_by_role("button", name="Urteile lehren").is_disabled()
        assert not serious_findings(page)


def confirm(page: Any, act: str, reason: str) -> None:
    page.locator("dialog textarea").fill(reason)
    page.locator("dialog").get_by_role("button", name=act).click()
    page.locator("dialog").wait_for(state="detached")
