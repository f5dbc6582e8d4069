"""The database: opened and brought to the newest version; one thread writes, many read."""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Insert, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from trd.errors import OutputError
from trd.extras import explained
from trd.files import write_bytes

Result = TypeVar("Result")
Write = Callable[[Connection], Any]

WRITES = {"trd_writes": True}
NEWEST = "0007"  # of the tables' versions: a test compares it with the steps that there are
GROUP = 64  # writes of one transaction: waiting for the disk is shared
CACHE_KB = 64_000
KIND = "database"  # a file in the station's folder: which kind it has worked with, nothing that is secret


def open_engine(url: URL | str) -> Engine:
    """SQLite in WAL mode, flushed to the disk at every commit; or what the URL names."""
    url = make_url(url)
    options: dict[str, Any] = {"json_serializer": _compact}
    if url.get_backend_name() == "sqlite":
        # each thread its own file handle; more readers than threads there are would be closed and opened again
        options |= {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 56, "connect_args": {"timeout": 30}}
    with explained(f"the database {place_of(url)}"):
        engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def place_of(url: URL) -> str:
    """For messages: SQLite's file, or the URL without its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string()


def inserted(connection: Connection, row: Insert) -> int:
    """Stores a row; its number."""
    key = connection.execute(row).inserted_primary_key
    assert key is not None  # which it is for many rows at once only
    return int(key[0])


def upgrade(engine: Engine, revision: str = NEWEST) -> None:
    """To the newest tables, with what is in them. Raises OutputError."""
    if revision_of(engine) == revision:
        return
    from alembic import command  # a start after a crash should not wait for what it does not need
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.execution_options(**WRITES).connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    except SQLAlchemyError as error:
        raise OutputError(f"the station's database {place_of(engine.url)} cannot be opened: {reason(error)}") from error


def revision_of(engine: Engine) -> str | None:
    """Which tables there are; None where nothing says so."""
    try:
        with engine.connect() as connection:
            revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return revision
    except SQLAlchemyError:
        return None  # none yet; or it cannot be opened, which upgrading tells


def check_kind(data: Path, url: URL) -> None:
    """Raises OutputError where the station in this folder has worked with another kind of database than the URL's."""
    path, backend = data / KIND, url.get_backend_name()
    noted = path.read_text("utf-8").strip() if path.is_file() else backend
    if noted != backend:
        raise OutputError(
            f"the station in {data} works with a database of {noted}, not {backend}: name it as `trd serve` has it "
            f"(--database or TRD_DATABASE). If all its rows were moved to {backend}, delete {path}"
        )


def note_kind(data: Path, url: URL) -> None:
    """For `check_kind`. Raises OutputError."""
    if not (data / KIND).is_file():
        write_bytes(data / KIND, f"{url.get_backend_name()}\n".encode())


def check_there(url: URL) -> None:
    """For what must not make a database. Raises OutputError where there is none, or none of a station."""
    remedy = "name the station's database as `trd serve` has it (--database or TRD_DATABASE)"
    if url.get_backend_name() == "sqlite" and "uri" not in url.query and not Path(url.database or "").is_file():
        raise OutputError(f"there is no database {place_of(url)}: {remedy}")  # connecting would make one
    engine = open_engine(url)
    try:
        is_station = inspect(engine).has_table("inspection")
    except SQLAlchemyError as error:
        raise OutputError(f"the station's database {place_of(engine.url)} cannot be opened: {reason(error)}") from error
    finally:
        engine.dispose()
    if not is_station:
        raise OutputError(f"the database {place_of(url)} is not a station's: {remedy}")


def reason(error: Exception) -> str:
    """A database's error in one line, without the statement."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]


class Unsure(OutputError):
    """A commit failed: what it was to write may be there all the same."""


class Database:
    """Reads in any thread; writes in one of its own, in groups, each group one transaction that is on the disk when
    its callers are answered. A write that fails takes none of its group with it; where its error ended the transaction
    all of the group fail."""

    def __init__(self, url: URL | str) -> None:
        self.engine = open_engine(url)
        upgrade(self.engine)
        self._waiting: queue.SimpleQueue[tuple[Write, Future[Any]] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="station-writer", daemon=True)
        self._thread.start()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    def begin(self, write: Callable[[Connection], Result]) -> Future[Result]:
        """Have it written: the future has its result when that is on the disk. Raises OutputError when closed."""
        future: Future[Result] = Future()
        with self._closing:
            if self._closed:
                raise OutputError("the station is stopping: nothing is written any more")
            self._waiting.put((write, future))
        return future

    def write(self, write: Callable[[Connection], Result]) -> Result:
        """The same, and wait. Raises what `write` raises, and OutputError where the database cannot write."""
        return self.begin(write).result()

    def close(self) -> None:
        """After what waits was written."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()
        self.engine.dispose()

    def _run(self) -> None:
        going = True
        while going:
            group = [self._waiting.get()]
            while len(group) < GROUP and not self._waiting.empty():
                group.append(self._waiting.get())
            going = None not in group
            self._write([entry for entry in group if entry is not None])

    def _write(self, group: list[tuple[Write, Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any, BaseException | None]] = []
        committing = False
        try:
            with self.engine.execution_options(**WRITES).connect() as connection, connection.begin():
                for write, future in group:
                    try:
                        with connection.begin_nested():
                            result = write(connection)
                        done.append((future, result, None))
                    except Exception as error:
                        if _ended(connection):
                            # what the group wrote before is gone, and the rest would have no transaction
                            raise _first(error) from None
                        done.append((future, None, _worded(error)))
                committing = True
        except Exception as error:  # nothing of the group is there, as far as the database says
            done = [(future, None, _worded(error, Unsure if committing else OutputError)) for _, future in group]
        for future, result, fault in done:
            if fault is None:
                future.set_result(result)
            else:
                future.set_exception(fault)


def _ended(connection: Connection) -> bool:
    """Whether the transaction is gone: SQLite rolls it back by itself for a full disk or a disk that cannot be read."""
    if connection.invalidated:
        return True
    inner = connection.connection.dbapi_connection
    return isinstance(inner, sqlite3.Connection) and not inner.in_transaction


def _first(error: BaseException) -> BaseException:
    """What went wrong before rolling back did, which fails where there is nothing left to roll back."""
    cause = error
    while error.__context__ is not None:
        error = error.__context__
        if isinstance(error, SQLAlchemyError):
            cause = error
    return cause


def _worded(error: Exception, kind: type[OutputError] = OutputError) -> Exception:
    if isinstance(error, SQLAlchemyError) or kind is Unsure:
        return kind(f"the station's database cannot write: {reason(error)}")
    return error


def _compact(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say: see `_begin_sqlite`
    for setting in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"cache_size=-{CACHE_KB}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    # a reader that became a writer would be refused at once when another has written in between
    writes = connection.get_execution_options().get("trd_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
