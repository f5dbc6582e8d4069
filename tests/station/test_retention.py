"""What goes by age and room, what stays, and order after a crash."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from inspections import add_many
from sqlalchemy import select
from stations import client_of, upload
from typer.testing import CliRunner

from trd.cli import app
from trd.errors import OutputError
from trd_station import times
from trd_station.station import Station
from trd_station.store import database, history, retention
from trd_station.store.files import Files
from trd_station.store.schema import inspection


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'station.db'}"


def test_files_go_rows_stay(opened, test_parts: Path) -> None:
    station: Station = opened(audit_rate=0.0)
    files = upload(test_parts / "good", "000")
    with client_of(station) as client:
        told = [client.post("/v1/classes/biscuit/inspections", files=files).json()["inspections"][0] for _ in range(5)]
        client.post(f"/v1/inspections/{told[0]['id']}/verdicts", json={"verdict": "good"})
        with station.database.reading() as connection:
            size = retention.used_bytes(connection)
        assert size == sum(path.stat().st_size for path in station.files.root.rglob("*-*"))
        kept = retention.prune(station.database, station.files, 1.0, size)
        assert kept == retention.Pruned()
        gone = retention.prune(station.database, station.files, 1.0, size - 1)
        assert gone.inspections == 1
        states = [client.get(f"/v1/inspections/{one['id']}").json() for one in told]
        assert [one["pruned"] for one in states] == [False, True, False, False, False]  # the oldest without verdict
        assert (states[1]["score"], states[1]["maps"]) == (told[1]["score"], [])
        assert client.get(f"/v1/inspections/{told[1]['id']}/maps/fused.npy").json()["code"] == "pruned"
        assert retention.prune(station.database, station.files, 0.0, 10**12).inspections == 3
        assert client.get(f"/v1/inspections/{told[0]['id']}/maps/fused.npy").status_code == 200
        assert len(list(station.files.root.rglob("*-*"))) == 3  # of the one that was judged


def test_files_that_people_need_stay_and_are_told(opened, test_parts: Path, monkeypatch) -> None:
    monkeypatch.setattr("trd_station.station.STATE_EVERY", 1000.0)  # it prunes when we say
    station: Station = opened(audit_rate=0.0)
    with client_of(station) as client:
        for _ in range(2):
            client.post("/v1/classes/biscuit/inspections", files=upload(test_parts / "good", "000"))
        station.database.write(
            lambda connection: connection.exec_driver_sql("update inspection set queue='review' where id=2")
        )
        with station.database.reading() as connection:
            size = retention.used_bytes(connection)
        station.current_settings.now = replace(station.settings, keep_bytes=3 * size // 4)
        for _ in range(2):
            station.housekeeping.prune()
        assert [client.get(f"/v1/inspections/{number}").json()["pruned"] for number in (1, 2)] == [True, False]
        station.current_settings.now = replace(station.settings, keep_bytes=size // 4)
        station.housekeeping.prune()  # a queue that nobody works off may not fill the disk
        assert client.get("/v1/inspections/2").json()["pruned"]
        told = client.get("/v1/events?level=warning").json()["events"]
        assert [one["kind"] for one in told] == ["retention"]
        assert "wait for review" in told[0]["text"]
        set_back = times.now() - 8 * times.HOUR
        monkeypatch.setattr(times, "now", lambda: set_back)
        station.housekeeping.prune()
        told = client.get("/v1/events?level=warning&kind=clock").json()["events"]
    assert "a time 8.0 hours ahead" in told[0]["text"]


def test_a_clock_that_jumps_ahead_deletes_nothing(url: str, tmp_path: Path, monkeypatch) -> None:
    one, files, now = database.Database(url), Files(tmp_path), times.now()
    one.write(lambda connection: add_many(connection, "biscuit", 500, hours=24 * 100))
    with monkeypatch.context() as patch:
        patch.setattr(times, "now", lambda: now + 365 * times.DAY)
        assert retention.prune(one, files, 90, 10**12) == retention.Pruned(held=True)
        with one.reading() as connection:
            (row,) = connection.execute(select(inspection).order_by(inspection.c.id.desc()).limit(1)).mappings()
        one.write(lambda connection: history.add(connection, [{k: v for k, v in row.items() if k != "id"}]))
        assert retention.prune(one, files, 90, 10**12) == retention.Pruned(held=True)
        patch.setattr(times, "now", lambda: now + 367 * times.DAY)  # the clock goes on: it was a pause
        assert retention.prune(one, files, 90, 10**12).inspections > 400
    one.close()


def test_reconcile_brings_files_and_rows_together(opened, test_parts: Path) -> None:
    station: Station = opened()
    files = upload(test_parts / "good", "000")
    with client_of(station) as client:
        for _ in range(3):
            client.post("/v1/classes/biscuit/inspections", files=files)
        mask = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
        assert client.post("/v1/inspections/1/verdicts", json={"verdict": "good", "mask": mask}).status_code == 422
    found = retention.reconcile(station.database, station.files, verify=True)
    assert found == retention.Reconciled(0, 0, (), 9)
    day = next(station.files.root.iterdir())
    (day / f"{'a' * 16}-maps-{'b' * 16}.npy").write_bytes(b"left by a kill")
    (day / ".trd-scrap").write_bytes(b"")
    (station.files.incoming / "half").mkdir()
    lost, damaged, *_ = [path for path in day.glob("*-maps-*") if not path.name.startswith("a" * 16)]
    lost.unlink()
    damaged.write_bytes(b"x")
    found = retention.reconcile(station.database, station.files, verify=True)
    assert (found.missing, len(found.damaged)) == (1, 2)
    assert not any(station.files.incoming.iterdir())
    again = retention.reconcile(station.database, station.files)
    assert (again.orphans, again.missing) == (0, 0)


def test_reconcile_keeps_what_is_left_of_a_judged_part(opened, test_parts: Path) -> None:
    station: Station = opened(audit_rate=0.0)
    with client_of(station) as client:
        for _ in range(2):
            client.post("/v1/classes/biscuit/inspections", files=upload(test_parts / "good", "000"))
        assert client.post("/v1/inspections/1/verdicts", json={"verdict": "good"}).status_code == 201
    for path in station.files.root.rglob("*-maps-*"):
        path.unlink()
    assert retention.reconcile(station.database, station.files) == retention.Reconciled(2, 2, (), 4)
    assert retention.reconcile(station.database, station.files) == retention.Reconciled(0, 0, (), 2)


def test_reconcile_deletes_nothing_by_another_database(opened, test_parts: Path, tmp_path: Path) -> None:
    """As where the station's own is named to its service only, and someone types the command in a plain shell."""
    elsewhere, data = f"sqlite:///{tmp_path / 'elsewhere.db'}", tmp_path / "data"
    station: Station = opened(database=elsewhere)
    with client_of(station) as client:
        client.post("/v1/classes/biscuit/inspections", files=upload(test_parts / "good", "000"))
    station.close()
    words = ["station", "reconcile", str(data)]

    def refused() -> str:
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, OutputError)
        assert "TRD_DATABASE" in str(done.exception)
        assert len(list((data / "files").rglob("*-*"))) == 3
        return str(done.exception)

    assert "there is no database" in refused()
    assert not (data / "station.db").exists()
    sqlite3.connect(data / "station.db").execute("create table other (id integer)")
    assert "is not a station's" in refused()
    (data / "station.db").unlink()
    database.Database(f"sqlite:///{data / 'station.db'}").close()
    assert "no inspection" in refused()
    (data / database.KIND).write_text("postgresql\n")
    assert "a database of postgresql, not sqlite" in refused()
    with pytest.raises(OutputError, match="not sqlite"):
        opened(database=elsewhere)
    (data / database.KIND).unlink()
    assert CliRunner().invoke(app, [*words, "--database", elsewhere]).exit_code == 0
    assert len(list((data / "files").rglob("*-*"))) == 3
