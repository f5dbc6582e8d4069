"""The rows of a station at one moment, as an SQLite file, whatever kind of database it works with; and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, Connection, Integer, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from trd.errors import OutputError
from trd_station.store.database import NEWEST, WRITES, open_engine, place_of, reason, revision_of, upgrade
from trd_station.store.schema import metadata, part_class

ROWS = 1000  # that are copied at once


def sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path.resolve()))


def take_snapshot(url: URL, path: Path) -> None:
    """Copy the database to a new SQLite file at `path`, with the newest tables; others may read and write meanwhile.

    SQLite copies itself. The rows of another kind are read in one transaction, and none of its tools is needed. Raises
    OutputError.
    """
    engine = open_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection, closing(sqlite3.connect(path)) as target:
                source = connection.connection.driver_connection
                assert isinstance(source, sqlite3.Connection)
                source.backup(target)  # all pages at once: piece by piece it would begin anew with every write
        else:
            if revision_of(engine) != NEWEST:
                raise OutputError(
                    f"the tables of {place_of(url)} are of another version: start the station once with this one"
                )
            with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
                _into_sqlite(connection, path)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise OutputError(f"the station's database {place_of(url)} cannot be copied: {reason(error)}") from error
    finally:
        engine.dispose()
    copy = open_engine(sqlite_url(path))
    try:
        upgrade(copy)
    finally:
        copy.dispose()


def _into_sqlite(source: Connection, path: Path) -> None:
    engine = open_engine(sqlite_url(path))
    try:
        upgrade(engine)
        with engine.execution_options(**WRITES).connect() as target, target.begin():
            copy_rows(source, target)
    finally:
        engine.dispose()


def copy_rows(source: Connection, target: Connection) -> None:
    """All rows of all tables, into empty ones of the same version; row numbers go on behind them."""
    for table in metadata.sorted_tables:
        query = select(table).order_by(*table.primary_key.columns)
        result = source.execution_options(yield_per=ROWS).execute(query)
        for rows in result.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in rows])
        number = table.c.get("id")
        if target.dialect.name == "postgresql" and number is not None and isinstance(number.type, Integer):
            newest = target.execute(select(func.max(number))).scalar()
            if newest is not None:
                series = select(func.setval(func.pg_get_serial_sequence(table.name, "id"), newest))
                target.execute(series)


def fill_database(path: Path, url: URL) -> None:
    """Copy a snapshot's rows to a database of another kind, all or none. Raises OutputError where there are rows of a
    station in it, or it cannot be written."""
    source, target = open_engine(sqlite_url(path)), open_engine(url)
    try:
        if inspect(target).has_table("inspection"):
            with target.connect() as connection:
                if connection.execute(select(part_class.c.id).limit(1)).scalar() is not None:
                    raise OutputError(f"{place_of(url)} has rows of a station: give an empty database")
        upgrade(target)
        with source.connect() as reading, target.begin() as writing:
            copy_rows(reading, writing)
    except SQLAlchemyError as error:
        raise OutputError(f"the database {place_of(url)} cannot be filled: {reason(error)}") from error
    finally:
        source.dispose()
        target.dispose()
