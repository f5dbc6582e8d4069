"""Where the station wants a token."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from pages import Look, Served, serious_findings, serving, window


@pytest.fixture(scope="module")
def guarded(page_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(page_run, data=tmp_path_factory.mktemp("guarded"), roles=("viewer", "operator", "engineer")) as one:
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


@pytest.mark.parametrize(("role", "inspects", "sets"), [("viewer", 0, 0), ("operator", 1, 0), ("engineer", 1, 1)])
def test_a_role_is_offered_what_it_may(browser: Any, guarded: Served, role: str, inspects: int, sets: int) -> None:
    with window(browser, guarded) as opened:
        page = opened.open("line")
        sign_in(page, guarded.tokens[role])
        page.get_by_text("No part yet").wait_for()
        assert page.get_by_role("button", name="Inspect from files").count() == inspects
        page.evaluate("location.hash = '#/threshold'")
        page.locator(".promise b").first.wait_for()
        assert page.get_by_role("button", name="Make it the new version").count() == sets
        page.evaluate("location.hash = '#/models'")
        page.locator(".model-panel").first.wait_for()
        assert page.get_by_role("button", name="Send a package").count() == sets
