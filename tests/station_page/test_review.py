"""The page Review: parts judged by keyboard, and what happens elsewhere meanwhile."""

from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from pages import HTTP, Look, Served, part_files, send, window
from sqlalchemy import update

from trd.detector import Detector
from trd.types import KindSuggestion
from trd_station.store.schema import inspection


def test_review_takes_back_and_names_kinds(browser: Any, served: Served, page_parts: Path) -> None:
    for number in range(3):
        send(served, part_files(page_parts, "chip", number % 2), f"part-{number}")
    with window(browser, served) as opened:
        page = opened.open("review")
        name = page.locator(".page-head a")
        name.get_by_text("part-0").wait_for()
        page.keyboard.press("n")
        page.keyboard.type("broken rim")
        page.keyboard.press("Enter")
        name.get_by_text("part-1").wait_for()
        page.keyboard.down("1")  # the kind just used
        name.get_by_text("part-2").wait_for()
        page.keyboard.down("1")  # still held: the next part is not judged unseen
        page.keyboard.up("1")
        page.keyboard.press("ArrowLeft")
        name.get_by_text("part-1").wait_for()
        page.keyboard.press("u")
        name.get_by_text("part-2").wait_for()
        found = page.request.get(f"{served.address}/v1/inspections?order=oldest").json()["inspections"]
        assert [(one["verdict"], one["verdict_kind"]) for one in found] == [
            ("defect", "broken rim"),
            ("unsure", None),
            (None, None),
        ]


def test_review_hears_of_parts_and_of_verdicts(browser: Any, served: Served, page_parts: Path) -> None:
    def judge_elsewhere(part: dict[str, Any]) -> None:
        HTTP.post(f"{served.address}/v1/inspections/{part['id']}/verdicts", json={"verdict": "good", "who": "ben"})

    with window(browser, served) as opened:
        page = opened.open("review")
        name = page.locator(".page-head a")
        page.get_by_text("Nothing waits for a verdict").wait_for()
        parts = [send(served, part_files(page_parts, "good", number), f"part-{number}") for number in range(3)]
        name.get_by_text("part-0").wait_for()
        judge_elsewhere(parts[0])
        page.get_by_text("ben has judged this part meanwhile: Good").wait_for()
        assert name.inner_text() == "part-0"  # not another one under the hand
        page.keyboard.press("ArrowRight")
        name.get_by_text("part-1").wait_for()
        judge_elsewhere(parts[2])
        page.get_by_text("0 uncertain, 1 random").wait_for()
        page.keyboard.press("g")
        page.get_by_text("Nothing waits for a verdict").wait_for()


def test_a_late_queue_takes_nothing_from_the_next_page(browser: Any, served: Served, page_parts: Path) -> None:
    part = send(served, part_files(page_parts, "good", 0), "part")
    late: list[Any] = []
    with window(browser, served) as opened:
        opened.page.route("**/v1/review?*", lambda route: late.append((route, route.fetch())), times=1)
        with opened.page.expect_response("**/kinds"):
            page = opened.open("review")
        page.evaluate(f"location.hash = '#/part/{part['id']}'")
        page.locator(".view-3d[data-frames]").wait_for()
        late[0][0].fulfill(response=late[0][1])
        page.evaluate("fetch('/v1/session').then((answer) => answer.text())")  # after the late answer
        assert sum("cloud.bin" in one for one in opened.asked) == 1  # there is one canvas for 3D


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en-GB", ("random audit", "near the limit", "unlike what was reviewed", "unlike all known kinds")),
        ("de-DE", ("Zufallsprüfung", "nahe an der Grenze", "anders als die beurteilten", "keiner bekannten Art")),
    ],
)
def test_it_is_said_why_a_part_is_asked_about_and_what_kind_it_may_be(
    browser: Any,
    served: Served,
    page_parts: Path,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    words: tuple[str, str, str, str],
) -> None:
    audit, near, unlike, no_kind = words
    suggestions = iter([KindSuggestion("chip", {"chip": 0.62, "dent": 0.05}), KindSuggestion("", {"chip": 0.05})])
    monkeypatch.setattr(Detector, "kind", lambda self, scored: next(suggestions))
    parts = [send(served, part_files(page_parts, "chip", number), f"part-{number}") for number in range(2)]
    part = parts[0]
    assert part["kind_suggestion"] == {"kind": "chip", "likeness": {"chip": 0.62, "dent": 0.05}}
    with window(browser, served, Look(language=language)) as opened:
        page = opened.open("review")
        page.locator(".page-head").get_by_text(audit).wait_for()
        page.locator(".suggested-kind strong").get_by_text("chip").wait_for()
        for one, score in zip(parts, (part["reject_above"], 0.0), strict=True):
            values = {"sampled": False, "queue": "review", "score": score}
            row = update(inspection).where(inspection.c.id == one["id"]).values(**values)
            served.database.write(methodcaller("execute", row))
        page.reload()
        page.locator(".page-head").get_by_text(near).wait_for()
        page.keyboard.press("ArrowRight")
        page.locator(".page-head").get_by_text(unlike).wait_for()
        page.locator(".suggested-kind strong").get_by_text(no_kind).wait_for()
        page = opened.open(f"part/{part['id']}")
        page.locator(".suggested-kind").get_by_text("62").wait_for()
        page = opened.open("history")
        page.locator("tbody td").get_by_text(no_kind).wait_for()
