"""Where the station wants a token."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pages import Look, Served, serious_findings, serving, window

CLASS = "gear #2+a 5%25?&ü"  # as every address must take it


@pytest.fixture(scope="module")
def guarded(page_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        f"{CLASS}={page_run}", data=tmp_path_factory.mktemp("guarded"), roles=("viewer", "operator", "engineer")
    ) as one:
        yield one


def sign_in(page: Any, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_of_axe(browser: Any, guarded: Served, theme: str) -> None:
    with window(browser, guarded, Look(theme=theme)) as opened:
        page = opened.open("line")
        page.get_by_label("Token").wait_for()
        assert not serious_findings(page)


def test_a_wrong_token_is_refused_and_a_right_one_kept(browser: Any, guarded: Served) -> None:
    with window(browser, guarded) as opened:
        page = opened.open("line")
        sign_in(page, "wrong")
        page.get_by_role("alert").get_by_text("not known").wait_for()
        opened.faults.clear()  # the browser logs the refused request
        sign_in(page, guarded.tokens["viewer"])
        page.get_by_text("Ready").wait_for()
        assert not page.evaluate("document.cookie")  # out of reach of scripts
        page.reload()
        page.get_by_role("button", name="Sign out viewer").click()
        page.get_by_label("Token").wait_for()


def test_a_browser_that_keeps_no_cookie_is_told(browser: Any, guarded: Served) -> None:
    with window(browser, guarded) as opened:
        page = opened.open("line")

        def without_cookie(route: Any) -> None:
            if route.request.method == "POST":
                route.fulfill(status=200, json={})
            else:
                route.continue_()

        page.route("**/v1/session", without_cookie)
        sign_in(page, guarded.tokens["viewer"])
        page.get_by_role("alert").get_by_text("does not keep its cookie").wait_for()


@pytest.mark.parametrize(("role", "inspects", "sets"), [("viewer", 0, 0), ("operator", 1, 0), ("engineer", 1, 1)])
def test_a_role_is_offered_what_it_may(browser: Any, guarded: Served, role: str, inspects: int, sets: int) -> None:
    with window(browser, guarded) as opened:
        page = opened.open("line")
        sign_in(page, guarded.tokens[role])
        page.get_by_text("No part yet").wait_for()
        assert page.get_by_role("button", name="Inspect from files").count() == inspects
        page.evaluate("location.hash = '#/threshold'")
        page.locator(".promise b").first.wait_for()
        assert page.get_by_label("Class of parts").input_value() == CLASS
        assert page.get_by_role("button", name="Make it the new version").count() == sets
        page.evaluate("location.hash = '#/models'")
        page.locator(".model-panel").first.wait_for()
        assert page.get_by_role("button", name="Send a package").count() == sets


def test_who_is_no_longer_known_is_asked_to_sign_in(browser: Any, page_run: Path, tmp_path: Path) -> None:
    """A day later the page asks, which renews the cookie; then the station stops and comes back with other tokens."""
    with ExitStack() as left_open:
        with serving(page_run, data=tmp_path / "station", roles=("viewer",)) as before:
            port = int(before.address.rsplit(":", 1)[1])
            opened = left_open.enter_context(window(browser, before))
            opened.page.clock.install()
            page = opened.open("line")
            sign_in(page, before.tokens["viewer"])
            page.get_by_text("Ready").wait_for()
            with page.expect_response("**/v1/session") as renewed:
                page.clock.fast_forward("24:00:01")
            assert "Max-Age=2592000" in renewed.value.header_value("set-cookie")
            page.get_by_text("Ready").wait_for()
        page.get_by_text("No connection, trying again").wait_for()
        with serving(page_run, data=tmp_path / "station", roles=("viewer",), port=port):
            page.get_by_label("Token").wait_for()
            opened.faults.clear()  # the browser logs every attempt that failed
