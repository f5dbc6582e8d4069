"""The same store on PostgreSQL, where the server's programs and a driver are installed."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from inspections import FILTERS, add_many, holds
from sqlalchemy import make_url
from stations import client_of, upload
from typer.testing import CliRunner

from trd.cli import app
from trd.errors import OutputError
from trd_station.backup.archive import write_backup
from trd_station.backup.restore import restore
from trd_station.settings import Settings
from trd_station.station import Station
from trd_station.store import database, history
from trd_station.store.schema import metadata

BASE = "/v1/classes/biscuit"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server of our own, which refuses to run as root."""
    pytest.importorskip("psycopg")
    places = os.pathsep.join([os.environ.get("PATH", ""), *glob.glob("/usr/lib/postgresql/*/bin")])  # Debian's
    initdb, pg_ctl = (shutil.which(name, path=places) for name in ("initdb", "pg_ctl"))
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed")
    user = None
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres").pw_uid
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        if user is not None:
            os.chown(folder, user, -1)

        def run(*command: str) -> None:
            subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)

        secret = Path(folder) / "password"
        secret.write_text("correct horse\n")
        secret.chmod(0o644)  # read by the server's own user
        options = ["-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--no-sync"]
        if "--icu-locale" in subprocess.run([initdb, "--help"], capture_output=True, text=True, check=True).stdout:
            options += ["--locale-provider=icu", "--icu-locale=en-US"]  # as most are: it sorts by the language's rules
        run(initdb, "-D", f"{folder}/db", "-U", "station", *options)
        passfile = Path(folder) / "pgpass"  # the URL has no password: the driver finds it there
        passfile.write_text(f"127.0.0.1:{port}:*:station:correct horse\n")
        passfile.chmod(0o600)
        started = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run(pg_ctl, "-D", f"{folder}/db", "-o", started, "-l", f"{folder}/log", "-w", "start")
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PGPASSFILE", str(passfile))
                yield f"postgresql+psycopg://station@127.0.0.1:{port}/postgres"
        finally:
            run(pg_ctl, "-D", f"{folder}/db", "-m", "immediate", "stop")


def test_migrations_lists_and_counts(server: str) -> None:
    one = database.Database(server)
    try:
        with one.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        one.write(lambda connection: add_many(connection, "biscuit", 1200, 1))
        one.write(lambda connection: add_many(connection, "gear", 200, 2))
        with one.reading() as connection:
            rows = [dict(row) for row in connection.exec_driver_sql("select * from inspection").mappings()]
            for filters in FILTERS:
                expected = {row["id"] for row in rows if holds(row, filters)}
                found, cursor = history.page(connection, filters, None, 100)
                while cursor is not None:
                    more, cursor = history.page(connection, filters, cursor, 100)
                    found += more
                assert [row["id"] for row in found] == sorted(expected, key=lambda i: (at(rows, i), i), reverse=True)
                assert history.count(connection, filters).count == len(expected)
        with one.engine.begin() as connection:
            connection.exec_driver_sql("drop schema public cascade; create schema public")
    finally:
        one.close()


def at(rows: list[dict], number: int) -> int:
    return next(row["at"] for row in rows if row["id"] == number)


def test_without_its_password_the_error_says_so(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSFILE")
    with pytest.raises(OutputError, match=r"database postgresql\S+ cannot be opened: .*password"):
        database.Database(server)


def test_the_command_takes_the_url_from_the_environment(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in the command's line would be seen by all who list processes."""
    monkeypatch.setenv("TRD_DATABASE", server)
    words = ["station", "reconcile", str(tmp_path)]
    assert "is not a station's" in str(CliRunner().invoke(app, words).exception)  # and it makes no tables there
    database.Database(server).close()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert not list(tmp_path.glob("station.db*"))


def test_a_station_works_on_it(server: str, opened, test_parts: Path) -> None:
    station: Station = opened(database=server, audit_rate=1.0)
    with client_of(station) as client:
        (told,) = client.post(f"{BASE}/inspections", files=upload(test_parts / "chip", "000")).json()["inspections"]
        assert client.get("/v1/inspections?verdict=none&open=true").json()["inspections"] == [told]
        assert client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": "defect"}).status_code == 201
        assert client.get(f"{BASE}/threshold/what-if?reject_rate=0.2").status_code == 200
        limits = {"reject_above": 5.0, "review_above": 4.0, "reason": "x"}
        assert client.put(f"{BASE}/threshold", json=limits).status_code == 201
        for path in ("/v1/review", "/v1/events", "/v1/stats", f"{BASE}/watch", f"{BASE}/estimates", "/v1/settings"):
            assert client.get(path).status_code == 200, path
        assert client.get("/readyz").status_code == 200


def test_its_archive_makes_a_station_on_either_kind(server: str, opened, test_parts: Path, tmp_path: Path) -> None:
    """Without PostgreSQL's tools; and new rows get new numbers."""
    emptied(server)
    station: Station = opened(database=server, audit_rate=1.0)
    files = upload(test_parts / "chip", "000")
    with client_of(station) as client:
        for _ in range(2):
            (told,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
        client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": "defect"})
        kept = client.get("/v1/inspections").json()["inspections"]
    written = write_backup(station.settings.data, station.settings.url, tmp_path / "b.zip")
    assert (written.inspections, written.files) == (2, 6 + 4 + 1)
    with pytest.raises(OutputError, match="has rows of a station: give an empty database"):
        restore(tmp_path / "b.zip", tmp_path / "full", make_url(server))
    station.close()
    emptied(server)
    restore(tmp_path / "b.zip", tmp_path / "sqlite")
    restore(tmp_path / "b.zip", tmp_path / "postgres", make_url(server))
    for name, url in (("sqlite", ""), ("postgres", server)):
        again = Station.open(Settings(tmp_path / name, database=url, device="cpu"), [])
        with client_of(again) as client:
            assert client.get("/v1/inspections").json()["inspections"] == kept
            (new,) = client.post(f"{BASE}/inspections", files=files).json()["inspections"]
            assert (new["id"], new["score"]) == (3, told["score"])
        again.close()


def emptied(server: str) -> None:
    engine = database.open_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql("drop schema public cascade; create schema public")
    engine.dispose()
