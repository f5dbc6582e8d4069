"""What a station keeps: migrations, lists and counts, retention, and order after a crash."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from inspections import FILTERS, add_class, add_many, holds
from sqlalchemy import select
from stations import client_of, upload
from typer.testing import CliRunner

from trd.cli import app
from trd.errors import OutputError, RecipeError
from trd_station import times
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.store import database, history, retention
from trd_station.store.files import Files
from trd_station.store.filters import Filters
from trd_station.store.schema import DECISIONS, inspection, metadata


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'station.db'}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory):
    """Two classes, 1,000 and 150 inspections."""
    one = database.Database(f"sqlite:///{tmp_path_factory.mktemp('filled') / 'station.db'}")
    one.write(lambda connection: add_many(connection, "biscuit", 1000, 1))
    one.write(lambda connection: add_many(connection, "gear", 150, 2))
    yield one
    one.close()


def test_migrations_lead_from_version_to_version(url: str) -> None:
    """With what is in the tables; and the newest tables are those that the code knows."""
    engine = database.open_engine(url)
    database.upgrade(engine, "0001")
    with engine.begin() as connection:
        add_class(connection, "biscuit")
        assert "watch_state" not in engine.dialect.get_table_names(connection)
    database.upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("select name from part_class").scalar() == "biscuit"
        assert connection.exec_driver_sql("select count(*) from watch_state").scalar() == 0
    database.upgrade(engine)  # nothing to do
    engine.dispose()


def test_the_newest_tables_are_those_of_the_last_step() -> None:
    """Where they are there, opening does not even import what brings them up to date."""
    steps = Path(database.__file__).parent / "migrations"
    assert ScriptDirectory(steps).get_current_head() == database.NEWEST


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"not a database, but long enough to look like something" * 20)
    with pytest.raises(OutputError, match="cannot be opened: file is not a database"):
        database.Database(f"sqlite:///{tmp_path / 'station.db'}")


def test_every_commit_waits_for_the_disk(url: str) -> None:
    one = database.Database(url)
    with one.reading() as connection:
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma foreign_keys").scalar() == 1
    one.close()
    with pytest.raises(OutputError, match="stopping"):
        one.write(lambda connection: None)


def test_a_write_that_fails_takes_no_other_with_it(url: str) -> None:
    one = database.Database(url)

    def good(connection, number: int) -> int:
        connection.exec_driver_sql("insert into part_class (name) values (?)", (f"c{number}",))
        return number

    def bad(connection) -> None:
        connection.exec_driver_sql("insert into part_class (name) values ('half')")
        raise ValueError("no")

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(one.write, bad if n % 5 == 0 else lambda c, n=n: good(c, n)) for n in range(60)]
    outcomes = [future.exception() or future.result() for future in futures]
    assert sum(isinstance(outcome, ValueError) for outcome in outcomes) == 12
    with one.reading() as connection:
        names = connection.exec_driver_sql("select name from part_class").scalars().all()
    assert len(names) == 48
    assert "half" not in names
    one.close()


def test_an_error_that_ends_the_transaction_fails_its_whole_group(url: str) -> None:
    """SQLite rolls back by itself for some errors, such as a full disk; here a trigger does."""
    one = database.Database(url)
    one.write(
        lambda connection: connection.exec_driver_sql(
            "create trigger full before insert on part_class when new.name = 'full' "
            "begin select raise(rollback, 'disk is full'); end"
        )
    )
    holding, going = threading.Event(), threading.Event()

    def hold(_connection) -> None:
        holding.set()
        going.wait(10)

    def added(name: str):
        return lambda connection: (
            connection.exec_driver_sql("insert into part_class (name) values (?)", (name,)).rowcount
        )

    one.begin(hold)
    assert holding.wait(10)
    futures = [one.begin(added(name)) for name in ("before", "full", "after")]  # so they are one group, the next
    going.set()
    for future in futures:
        assert "cannot write: disk is full" in str(future.exception())
    assert one.write(added("later")) == 1
    with one.reading() as connection:
        assert connection.exec_driver_sql("select name from part_class").scalars().all() == ["later"]
    one.close()


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_lists_and_counts_are_complete_and_in_order(filled: database.Database, filters: Filters) -> None:
    with filled.reading() as connection:
        rows = [dict(row) for row in connection.execute(select(inspection)).mappings()]
        times_of = sorted(row["at"] for row in rows)
        for since, until in ((None, None), (times_of[240], times_of[980]), (times_of[40], None), (None, times_of[9])):
            asked = replace(filters, since=since, until=until)
            expected = [row["id"] for row in rows if holds(row, asked)]
            place = {row["id"]: (row["at"], row["id"]) for row in rows}
            expected.sort(key=place.__getitem__, reverse=True)
            for newest in (True, False):
                found: list[int] = []
                cursor = None
                while True:
                    some, cursor = history.page(connection, asked, cursor, 61, newest)
                    found += [row["id"] for row in some]
                    if cursor is None:
                        break
                assert found == (expected if newest else expected[::-1])
            count = history.count(connection, asked)
            assert (count.count, count.exact) == (len(expected), True)


def test_counters_know_hours_and_their_edges(filled: database.Database) -> None:
    with filled.reading() as connection:
        rows = connection.execute(select(inspection.c.at, inspection.c.decision)).all()
        low, high = min(row.at for row in rows), max(row.at for row in rows)
        rng = np.random.default_rng(0)
        for _ in range(30):
            since, until = sorted(int(one) for one in rng.integers(low, high, 2))
            if rng.random() < 0.3:
                until = since + 1000
            told = history.decisions(connection, Filters(since=since, until=until))
            for place, name in enumerate(DECISIONS):
                assert told[name] == sum(since <= row.at < until and row.decision == place for row in rows)


def test_pages_neither_shift_nor_repeat_while_parts_come_in(client: TestClient, send) -> None:
    first = [one["id"] for _ in range(5) for one in send("good")]
    page = client.get("/v1/inspections?limit=2").json()
    send("good")
    seen = [one["id"] for one in page["inspections"]]
    while page["next"]:
        page = client.get(f"/v1/inspections?limit=2&cursor={page['next']}").json()
        seen += [one["id"] for one in page["inspections"]]
    assert seen == first[::-1]
    assert client.get("/v1/inspections?cursor=nonsense!").status_code == 422
    assert client.get("/v1/inspections?decision=ok,maybe").json()["detail"].startswith("query.decision: 'maybe'")
    lines = client.get("/v1/inspections.csv?decision=ok,review,reject").text.splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("id,at,class,part,decision")
    stats = client.get("/v1/stats").json()
    assert sum(stats["total"].values()) == 6
    assert client.get("/v1/stats?since=1990-01-01T00:00:00Z").status_code == 422


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
        station.settings = replace(station.settings, keep_bytes=3 * size // 4)
        for _ in range(2):
            station._prune()
        assert [client.get(f"/v1/inspections/{number}").json()["pruned"] for number in (1, 2)] == [True, False]
        station.settings = replace(station.settings, keep_bytes=size // 4)
        station._prune()  # a queue that nobody works off may not fill the disk
        assert client.get("/v1/inspections/2").json()["pruned"]
        told = client.get("/v1/events?level=warning").json()["events"]
        assert [one["kind"] for one in told] == ["retention"]
        assert "wait for review" in told[0]["text"]
        set_back = times.now() - 8 * times.HOUR
        monkeypatch.setattr(times, "now", lambda: set_back)
        station._prune()
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


@pytest.mark.parametrize("name", ["line?1", "%41BC", "line%203", "a#b", "Geh\udce4use"])
def test_the_database_lies_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    settings = Settings(tmp_path / name)
    settings.data.mkdir()
    database.Database(settings.url).close()
    database.check_there(settings.url)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (settings.data / "station.db").is_file()


def test_stations_in_folders_of_odd_names_share_nothing(opened, test_parts: Path) -> None:
    first, second = (opened(data=name) for name in ("line?1", "line?2"))
    with client_of(first) as client:
        client.post("/v1/classes/biscuit/inspections", files=upload(test_parts / "good", "000"))
    with client_of(second) as client:
        assert client.get("/v1/inspections").json()["inspections"] == []
    first.close()
    done = CliRunner().invoke(app, ["station", "reconcile", str(first.settings.data)])
    assert "3 files: 0 that no row names" in " ".join(done.output.split())


def test_what_is_no_url_of_a_database_is_one_error(tmp_path: Path) -> None:
    for text in ("secret", "postgresql://anna:secret@host:port/name"):
        with pytest.raises(RecipeError, match="is no SQLAlchemy URL: expected KIND") as caught:
            _ = Settings(tmp_path, database=text).url
        assert "secret" not in str(caught.value)


def test_a_row_without_maps_takes_less_than_a_kilobyte(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    one = database.Database(f"sqlite:///{path}")
    one.write(lambda connection: add_many(connection, "biscuit", 20_000))
    one.close()
    with sqlite3.connect(path) as connection:
        connection.execute("vacuum")
    assert path.stat().st_size / 20_000 < 1024


def test_times_are_told_in_utc() -> None:
    assert times.to_iso(0) == "1970-01-01T00:00:00.000Z"
    assert times.to_iso(1795642201123) == "2026-11-25T21:30:01.123Z"
    assert times.day_of(1795642201123) == "20261125"
