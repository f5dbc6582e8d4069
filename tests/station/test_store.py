"""What a station keeps: migrations, lists and counts, and where its database lies."""

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
from trd_station.store import database, history
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


def test_empty_days_go_but_not_those_that_are_written_to(tmp_path: Path) -> None:
    files = Files(tmp_path)
    days = {ago: times.day_of(times.now() - ago * times.DAY) for ago in (0, 1, 2, 30)}
    for day in days.values():
        (files.root / day).mkdir()
    (files.root / days[30] / "kept").touch()
    files.delete_empty_days()
    assert {path.name for path in files.root.iterdir()} == {days[0], days[1], days[30]}
