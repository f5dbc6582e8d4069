"""The page of who looks after the station."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import HTTP, Look, Served, part_files, send, serious_findings, serving, window

from trd_station.backup.restore import restore
from trd_station.running import Attached


@pytest.fixture
def looked_after(page_run: Path, tmp_path: Path) -> Iterator[Served]:
    """A watched folder without the folders that it needs, and nobody at the webhook's address."""
    (tmp_path / "in").mkdir()
    attached = Attached(folders=(f"biscuit={tmp_path / 'in'}",), webhooks=("http://127.0.0.1:9/results",))
    with serving(page_run, data=tmp_path / "station", attached=attached) as one:
        yield one


def test_settings_inputs_outputs_and_backup(
    browser: Any, looked_after: Served, page_parts: Path, tmp_path: Path
) -> None:
    send(looked_after, part_files(page_parts, "chip", 0), "chip-0")
    with window(browser, looked_after) as opened:
        page = opened.open("administration")
        page.locator(".attached .fault").first.wait_for()
        page.get_by_role("button", name="Test folder of 'biscuit'").click()
        page.get_by_text("make a folder for each of rgb, xyz").last.wait_for()
        page.get_by_role("button", name="Test webhook").click()
        page.get_by_text("does not take it").wait_for()
        assert page.locator(".attached .result .tag.reject").count() == 2
        page.get_by_label("at random").fill("2,5")
        page.get_by_label("at most, GB").fill("20")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved.").wait_for()
        settings = HTTP.get(f"{looked_after.address}/v1/settings").json()
        assert (settings["audit_rate"], settings["keep_bytes"], settings["keep_days"]) == (0.025, 20 * 10**9, 90)
        page.get_by_label("at most, GB").fill("-1")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("alert").get_by_text("keep_bytes").wait_for()
        opened.faults.clear()  # the browser logs the refused request
        with page.expect_download() as download:
            page.get_by_role("link", name="Download a backup").click()
        assert restore(Path(download.value.path()), tmp_path / "restored").inspections == 1


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_a_token_is_made_shown_once_and_taken_away(browser: Any, page_run: Path, tmp_path: Path, language: str) -> None:
    """Beginning with the first one, after which the page asks for it; on a telephone as well."""
    new, remove, done, make, name = (
        ("New token", "Take away", "Done", "Make it", "Person or machine")
        if language == "en-GB"
        else ("Neues Zugangswort", "Entziehen", "Fertig", "Anlegen", "Person oder Maschine")
    )
    look = Look(theme="dark", language=language, width=390, height=844)
    with serving(page_run, data=tmp_path / "station") as served, window(browser, served, look) as opened:
        page = opened.open("administration")

        def made(who: str) -> str:
            page.get_by_role("button", name=new).click()
            assert not serious_findings(page)
            page.get_by_label(name).fill(who)
            page.get_by_role("button", name=make).click()
            shown = page.locator("dialog input[readonly]")
            shown.wait_for()
            assert not serious_findings(page)
            token = str(shown.input_value())
            page.get_by_role("button", name=done).click()
            return token

        anna = made("anna")
        page.wait_for_timeout(500)
        opened.faults.clear()  # the browser logs what is refused without a token now
        page.locator("input[name=token]").fill(anna)
        page.locator("form.sign-in, .sign-in form").get_by_role("button").click()
        page.locator("table.tokens tbody tr").wait_for()
        line = made("line 1")
        page.locator("table.tokens tbody tr").nth(1).wait_for()
        assert HTTP.get(f"{served.address}/v1/classes", headers={"Authorization": f"Bearer {line}"}).status_code == 200
        page.locator("table.tokens tbody tr").nth(1).get_by_role("button").click()
        page.locator("dialog").get_by_role("button", name=remove).click()
        page.locator("table.tokens tbody tr").nth(1).wait_for(state="detached")
        assert HTTP.get(f"{served.address}/v1/classes", headers={"Authorization": f"Bearer {line}"}).status_code == 401
        page.get_by_text("anna (admin)").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not serious_findings(page)


def test_others_are_not_offered_it(browser: Any, page_run: Path, tmp_path: Path) -> None:
    with (
        serving(page_run, data=tmp_path / "station", roles=("engineer",)) as served,
        window(browser, served) as opened,
    ):
        page = opened.open("administration")
        page.get_by_label("Token").fill(served.tokens["engineer"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="There is no such page").wait_for()
        assert page.locator(".rail a[data-page=models]").count() == 1
        assert page.locator(".rail a[data-page=administration]").count() == 0
