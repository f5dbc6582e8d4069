"""What a person would stumble over: fields, signs, other classes, small windows, the station's words in German."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Look, Served, part_files, send, serious_findings, serving, window

from trd.config import load_recipe
from trd.errors import CheckpointError
from trd.learning.good_parts import GoodFigures, _reasons
from trd.learning.learner import growing_recipe
from trd.preprocess.ranges import TrainingRanges
from trd.statistics.resampling import Interval
from trd_station.alarms.alarms import TALLIED as ALL_KINDS
from trd_station.alarms.rules import LONGEST_WINDOW, ClassRules
from trd_station.alarms.tally import INVALID, REJECT, Tally
from trd_station.watch.exchangeable import ExchangeabilityTest
from trd_station.watch.watch import RECENT, Stream, _drifted

SERIAL = "SN-2026-11-30-GEARBOX-HOUSING-0005-LEFT-REV-B"


@pytest.fixture(scope="module")
def two_classes(
    page_run: Path, coarser_run: Path, page_parts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Two detectors, as "biscuit" and as "GEAR"; inspection 1 is of GEAR, 2 and 3 of "biscuit"."""
    gear = f"GEAR={coarser_run / 'biscuit'}"
    with serving(page_run, gear, data=tmp_path_factory.mktemp("station")) as one:
        send(one, part_files(page_parts, "good", 0), "a gear", "GEAR")
        send(one, part_files(page_parts, "chip", 0), SERIAL)
        send(one, part_files(page_parts, "good", 1), "third")
        yield one


def test_a_part_is_shown_under_its_own_class(browser: Any, two_classes: Served) -> None:
    with window(browser, two_classes) as opened:
        page = opened.open("part/2")
        page.get_by_role("heading", name=SERIAL).wait_for()
        page.evaluate("location.hash = '#/part/1'")
        page.get_by_role("heading", name="a gear").wait_for()
        assert page.get_by_label("Class of parts").input_value() == "GEAR"
        opened.open("history")
        page.get_by_text("1 part", exact=True).wait_for()


def test_a_field_that_holds_no_number_cannot_be_kept(browser: Any, two_classes: Served) -> None:
    with window(browser, two_classes, Look(language="de-DE")) as opened:
        page = opened.open("threshold")
        page.locator(".promise b").first.wait_for()
        exact = page.get_by_role("textbox", name="Ausschuss über")
        keep = page.get_by_role("button", name="Zur neuen Version machen")
        exact.fill("50")
        exact.press("Enter")
        assert keep.is_enabled()
        exact.press_sequentially(",x")
        page.get_by_role("alert").get_by_text("Das ist keine Zahl").wait_for()
        assert keep.is_disabled()
        page.get_by_role("button", name="Zurück zu den geltenden Grenzen").click()
        page.get_by_label("Fehlalarme unter guten Teilen").fill("1")
        page.get_by_text("20 gute Teile können nicht weniger als 4,76 % versprechen").wait_for()
        page.get_by_text("werden 99 gute Teile gebraucht").wait_for()


def test_numbers_in_fields_are_read_back(browser: Any, two_classes: Served) -> None:
    """Also where a language sets thousands apart: 1,234 is not 1.234."""
    with window(browser, two_classes) as opened:
        page = opened.open("history")
        for language in ("en", "de"):
            read = page.evaluate(
                """async (language) => {
                    const { editable, parsed, useLanguage } = await import('/js/i18n.js');
                    useLanguage(language);
                    return [1234.5, 1000, 0.125, -3, 1e6].map((value) => parsed(editable(value)));
                }""",
                language,
            )
            assert read == [1234.5, 1000, 0.125, -3, 1e6]
        wrong = page.evaluate("async () => ['-3,x', '', '1,2,3', '1 2', 'x'].map((await import('/js/i18n.js')).parsed)")
    assert all(np.isnan(value) for value in wrong)


def test_a_package_of_another_class_is_sent_when_it_is_meant(browser: Any, two_classes: Served, tmp_path: Path) -> None:
    package = tmp_path / "cookie.trdm"
    package.write_bytes(b"package")
    told = {
        "status": 422,
        "code": "other_class",
        "detail": "the package is of the class 'cookie'",
        "trained_as": "cookie",
    }
    with window(browser, two_classes) as opened:
        page = opened.open("models")
        page.get_by_role("button", name="Send a package").click()
        page.get_by_label("Package (.trdm)").set_input_files(package)
        page.get_by_label("For the class").fill("GEAR")
        page.route("**/models/package*", lambda route: route.fulfill(status=422, json=told))
        page.get_by_role("button", name="Send and test").click()
        page.get_by_label("It is meant for GEAR all the same").check()
        with page.expect_request("**/classes/GEAR/models/package?trained_as=cookie"):
            page.get_by_role("button", name="Send and test").click()
        opened.faults.clear()  # the browser logs the refused requests


def test_the_trace_tells_what_it_shows_and_opens_it(browser: Any, two_classes: Served) -> None:
    with window(browser, two_classes) as opened:
        page = opened.open("line")
        page.get_by_label("Class of parts").select_option("biscuit")
        page.locator(".line-strip li").nth(1).wait_for()
        box = page.locator(".line-trace .u-over").bounding_box()
        step = box["width"] / 100  # the newest of 100 places is the last
        place = {"x": box["width"] - 1.5 * step, "y": box["height"] / 2}
        page.locator(".line-trace .u-over").hover(position=place)
        page.locator(".chart-tip").get_by_text(SERIAL).wait_for()
        page.locator(".line-trace .u-over").click(position=place)
        page.get_by_role("heading", name=SERIAL).wait_for()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1024, 768)])
def test_long_names_and_words_fit_a_small_window(browser: Any, two_classes: Served, width: int, height: int) -> None:
    """The word and the score are whole, and nothing is wider than the window."""
    with window(browser, two_classes, Look(language="de-DE", width=width, height=height)) as opened:
        page = opened.open("line")
        page.get_by_label("Teileklasse").select_option("biscuit")
        page.locator(".line-strip li").nth(1).wait_for()
        page.evaluate("name => document.querySelector('.line-part .name').textContent = name.repeat(4)", SERIAL)
        for shown in (".line-decision .word strong", ".line-score b", ".at-limit"):
            inside = page.evaluate(
                """(shown) => {
                    const box = document.querySelector(shown).getBoundingClientRect();
                    const frame = document.querySelector('.line-decision').getBoundingClientRect();
                    const across = box.left >= frame.left && box.right <= frame.right;
                    return across && box.bottom <= frame.bottom && box.height > 0;
                }""",
                shown,
            )
            assert inside, shown
        for place in ("line", "part/2", "history", "review", "threshold", "watch", "models"):
            opened.open(place)
            page.locator(".page h1").first.wait_for()
            page.wait_for_timeout(150)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place


def test_review_shows_what_is_switched_on(browser: Any, two_classes: Served) -> None:
    with window(browser, two_classes) as opened:
        page = opened.open("review")
        page.locator(".judge").first.wait_for()
        heat, mark = (page.get_by_role("button", name=name) for name in ("H heat map", "B mark the place"))
        assert (heat.get_attribute("aria-pressed"), mark.get_attribute("aria-pressed")) == ("true", "false")
        page.keyboard.press("h")
        page.keyboard.press("b")
        assert (heat.get_attribute("aria-pressed"), mark.get_attribute("aria-pressed")) == ("false", "true")
        page.get_by_role("status").get_by_text("drag over the place").wait_for()
        page.keyboard.press("b")
        page.get_by_text("drag over the place").wait_for(state="detached")
        page.keyboard.press("g")
        page.get_by_text("1 done today").wait_for()
        waiting = page.locator(".page-head .quiet", has_text="wait").inner_text().split()[0]
        page.locator(f".rail a[data-page=review] .badge:has-text('{waiting}')").wait_for(timeout=1500)


def test_the_eye_stays_above_the_table(browser: Any, two_classes: Served) -> None:
    with window(browser, two_classes) as opened:
        heights = opened.open("line").evaluate(
            """async () => {
                const { Orbit } = await import('/js/orbit.js');
                const above = [0.3, 0.2, Math.sqrt(1 - 0.13)];
                const eye = { turn: -0.3, tilt: -0.6, distance: 1, target: [0, 0, 0] };
                const orbit = new Orbit(document.createElement('div'), eye, () => {}, above);
                const heights = [];
                for (const [turn, tilt] of [[0.1, 0], [0, 0.1], [-0.1, 0], [0, -0.1], [0.1, 0.1]]) {
                    for (let step = 0; step < 40; step++) {
                        orbit.rotate(turn, tilt);
                        heights.push(orbit.place.reduce((sum, value, axis) => sum + value * above[axis], 0));
                    }
                }
                return heights;
            }"""
        )
    assert min(heights) > 0
    assert max(heights) - min(heights) > 0.5  # it does turn


def station_messages() -> list[str]:
    """What the station's own functions say."""
    ranges = TrainingRanges(
        (192, 192),
        {
            **{"plane": (0.4, 0.41), "part_mm": (80.0, 90.0), "part_pixels": (100.0, 110.0), "measured": (0.97, 0.98)},
            **{"brightness rgb": (0.33, 0.37), "contrast rgb": (0.1, 0.2), "tilt": (0.0, 1.0)},
            **{"part_x_mm": (-1.0, 1.0), "part_y_mm": (-1.0, 1.0)},
        },
    )
    notes = ranges.notes((100, 100), {name: 10 * high for name, (_, high) in ranges.values.items()})
    test = ExchangeabilityTest(1)
    stream = Stream("part_x_mm", 0, test)
    for value in range(RECENT):
        test.add(float(value))
        stream.recent.append(float(value))
    tally = Tally()
    for decision in [REJECT] * LONGEST_WINDOW + [INVALID] * 3:
        tally.add(ALL_KINDS, decision)
    alarms = tally.broken(ClassRules(), {"reason": "unexpected ValueError while the part was prepared"}).values()
    assert len(alarms) == len(ALL_KINDS)
    told = f"acknowledged by anna: lamp ({next(iter(alarms))})"
    described = ranges.described()
    worse = GoodFigures(2, 1, 0.8)
    refusals = _reasons(GoodFigures(1, 2, 0.9), worse, Interval(-0.1, -0.2, 0.1), Interval(-0.1, -0.2, -0.05))
    assert len(refusals) == 4
    with pytest.raises(CheckpointError) as hindrance:
        growing_recipe(load_recipe("lite-crossmodal-mapping"))
    return [
        *refusals,
        str(hindrance.value),
        *alarms,
        told,
        *notes,
        *ranges.notes((192, 192), {"part_pixels": 900.0}),
        _drifted(stream),
        *described,
        *described.values(),
    ]


def test_what_the_station_says_is_said_in_german(browser: Any, two_classes: Served) -> None:
    address = two_classes.address
    with window(browser, two_classes, Look(language="de-DE")) as opened:
        page = opened.open("models")
        page.locator(".checks li").first.wait_for()
        asked = page.request
        told = [event["text"] for event in asked.get(f"{address}/v1/events").json()["events"]]
        for model in asked.get(f"{address}/v1/models").json()["models"]:
            told += [text for check in model["self_test"]["checks"] for text in (check["name"], check["detail"])]
        told.append(asked.get(f"{address}/v1/classes/biscuit/recalibration").json()["note"])
        told += station_messages()
        german = page.evaluate(
            "async (told) => { const { translated } = await import('/js/messages.js'); return told.map(translated); }",
            told,
        )
        shown = page.locator("#main").inner_text()
    assert len(told) > 25
    assert not [text for text, other in zip(told, german, strict=True) if other is None or other == text]
    assert "rechnet" in shown
    assert "predicts" not in shown
    assert "1,00 hat sich" not in " ".join(german)
    assert any(text.startswith("Lage, quer hat sich verändert") for text in german)


NAMES = {
    "sourceName rgb_bank": "Farbe, Speicherbank",
    "sourceName normals_statistics": "Normalen, Statistik",
    "sourceName mapping": "Farbe und Form zusammen",
    "sourceName known_defects": "Bekannte Defekte",
    "sourceName front/rgb": "Farbe (front)",
    "streamName score good": "Wert, gute Teile",
    "streamName brightness front/rgb": "Helligkeit: Farbe (front)",
    "streamName plane front": "Abstand der Auflage (front)",
    "measureOf plane front": "500,00 mm",
    "measureOf brightness front/rgb": "50,0 %",
    "worded alarm rules became reject_rate 0.3, reject_window 50, by anna: why": (
        "Alarmregeln wurden Ausschuss, mehr als %: 30, der letzten so vielen Teile: 50, durch anna: why"
    ),
}


def test_maps_measures_and_rules_have_names_also_of_one_view(browser: Any, two_classes: Served) -> None:
    with window(browser, two_classes, Look(language="de-DE")) as opened:
        shown = opened.open("models").evaluate(
            """async (asked) => {
                const say = { ...await import("/js/streams.js"), ...await import("/js/messages.js") };
                return asked.map((one) => one.split(/ (.*)/s)).map(([name, text]) => say[name](text, 0.5));
            }""",
            list(NAMES),
        )
    assert dict(zip(NAMES, shown, strict=True)) == NAMES


def test_an_alarm_stands_on_the_line_until_someone_says_why(
    browser: Any, two_classes: Served, page_parts: Path
) -> None:
    """Words of 8 mm are read from two metres; a screen of 24 inches with 1080 lines has 0.277 mm a pixel."""
    with window(browser, two_classes, Look(width=1920, height=1080)) as opened:
        page = opened.open("watch")
        page.get_by_label("Parts rejected in a row").fill("2")
        page.get_by_role("button", name="Keep these rules").click()
        page.locator("dialog textarea").fill("to see")
        page.locator("dialog").get_by_role("button", name="Keep these rules").click()
        page.get_by_text("These rules hold").wait_for()
        rules = page.request.get(f"{two_classes.address}/v1/events?kind=rules").json()["events"]
        assert [event["class"] is None for event in rules] == [False]  # the station's rules are as they were
        opened.open("line")
        page.locator(".line-strip li").first.wait_for()
        assert page.locator(".alarm").count() == 0
        for number in range(2):
            made = send(two_classes, part_files(page_parts, "chip", number), f"chip-{number}")
            assert made["decision"] == "reject"
        alarm = page.locator(".alarms .alarm")
        alarm.get_by_text("2 parts in a row were rejected").wait_for()
        page.locator(".lamp.alarm-open").get_by_text("Alarm").wait_for()
        size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.alarm strong')).fontSize)")
        assert 0.727 * size * 0.277 >= 8
        assert not serious_findings(page)
        alarm.get_by_role("button", name="Acknowledge").click()
        page.get_by_role("button", name="Lamp", exact=True).click()
        page.locator("dialog").get_by_role("button", name="Acknowledge").click()
        page.locator(".alarms").wait_for(state="hidden")
        page.locator(".lamp").get_by_text("Ready").wait_for()
        opened.open("watch")
        page.locator(".events").get_by_text("acknowledged by local: Lamp", exact=True).wait_for()
