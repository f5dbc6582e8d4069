"""Old files go, rows stay. And what a crash left is put in order: `reconcile`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, func, select, true, update

from trd.errors import OutputError
from trd_station import times
from trd_station.store.database import Database, place_of
from trd_station.store.files import NAME, Files, digest_of, stored_files
from trd_station.store.schema import inspection, verdict

c = inspection.c
CHUNK = 500
GAP = 7 * times.DAY  # without parts; after it the clock has to go on for a day before it is believed


def _of_no_use() -> ColumnElement[bool]:
    """Not judged, nor sampled: those calibrate, estimate and train."""
    return c.verdict.is_(None) & (c.sampled == false())


def _may_go() -> ColumnElement[bool]:
    return (c.pruned == false()) & _of_no_use()


def _free() -> ColumnElement[bool]:
    """And not waiting for someone to look at it."""
    return _of_no_use() & c.queue.is_(None)


@dataclass(frozen=True)
class Pruned:
    """Inspections whose files were deleted, and how many bytes that freed. held: none was for its age, since the clock
    may have jumped."""

    inspections: int = 0
    bytes: int = 0
    held: bool = False


def needed_bytes(connection: Connection) -> int:
    """Of the files that `prune` deletes last or never."""
    query = select(func.coalesce(func.sum(c.bytes), 0)).where(c.pruned == false(), ~_free())
    return int(connection.execute(query).scalar_one())


def used_bytes(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.sum(c.bytes), 0)).where(c.pruned == false())).scalar_one())


def prune(database: Database, files: Files, keep_days: float, keep_bytes: int) -> Pruned:
    """Delete the files of inspections that are too old, then of the oldest until the rest fits: of those that wait for
    review last, since a queue that nobody works off may not fill the disk.

    A row is marked first: one whose files are gone and says otherwise would be a lie, the other way round is an orphan
    that `reconcile` finds.
    """
    now = times.now()
    with database.reading() as connection:
        held = _may_have_jumped(connection, now)
    oldest = now - round(keep_days * times.DAY)
    gone = Pruned() if held else _prune_while(database, files, c.at < oldest, None)
    with database.reading() as connection:
        used = used_bytes(connection)
    parts, freed = gone.inspections, gone.bytes
    for which in (_free(), true()):
        if used > keep_bytes:
            more = _prune_while(database, files, which, used - keep_bytes)
            parts, freed, used = parts + more.inspections, freed + more.bytes, used - more.bytes
    files.delete_empty_days()
    return Pruned(parts, freed, held)


def _may_have_jumped(connection: Connection, now: int) -> bool:
    """Whether the last part that is older than a day is much older: the clock may be wrong by the time between, and all
    files would be too old by it. A clock that goes on for a day, while parts come, is believed."""
    last = connection.execute(select(func.max(c.at)).where(c.at < now - times.DAY)).scalar()
    return last is not None and last < now - times.DAY - GAP


def _prune_while(database: Database, files: Files, which: ColumnElement[bool], excess: int | None) -> Pruned:
    """The oldest first; until `excess` bytes are freed where that is given."""
    inspections = freed = 0
    while excess is None or freed < excess:
        with database.reading() as connection:
            query = select(c.id, c.uid, c.files, c.bytes).where(_may_go(), which).order_by(c.at, c.id).limit(CHUNK)
            rows = connection.execute(query).all()
        chosen = []
        for row in rows:
            if excess is not None and freed >= excess:
                break
            chosen.append(row)
            freed += row.bytes
        if not chosen:
            break
        marked = database.write(partial(_mark, numbers=[row.id for row in chosen], only=_may_go()))
        for row in chosen:
            if row.id in marked:
                files.delete(row.files["day"], row.uid, {k: v for k, v in row.files.items() if k != "day"})
        inspections += len(marked)
    return Pruned(inspections, freed)


def _mark(connection: Connection, numbers: list[int], only: ColumnElement[bool]) -> set[int]:
    """Which of them were: a verdict may have come since they were chosen."""
    marked = set(connection.execute(select(c.id).where(c.id.in_(numbers), only)).scalars())
    connection.execute(update(inspection).where(c.id.in_(marked)).values(pruned=True, bytes=0))
    return marked


def mark_missing(connection: Connection, numbers: list[int]) -> int:
    """Mark inspections whose files are not there; how many inspections there are in all."""
    for start in range(0, len(numbers), CHUNK):
        _mark(connection, numbers[start : start + CHUNK], only=true())
    return int(connection.execute(select(func.count()).select_from(inspection)).scalar_one())


@dataclass(frozen=True)
class Reconciled:
    """orphans: files that no row names, deleted. missing: rows whose files are not there, marked as pruned. damaged:
    files whose content is not what their name says; they stay, and the row too. checked: files looked at."""

    orphans: int
    missing: int
    damaged: tuple[str, ...]
    checked: int


def reconcile(database: Database, files: Files, verify: bool = False) -> Reconciled:
    """Bring files and rows into agreement; verify: also read every file. No station may run.

    Raises OutputError where there are files and no inspection at all: it would delete them all.
    """
    with database.reading() as connection:
        empty = connection.execute(select(c.id).limit(1)).scalar() is None
    if empty and next(files.all_files(), None) is not None:
        raise OutputError(
            f"{files.root} holds files, but the database {place_of(database.engine.url)} no inspection: it is not the "
            "station's. Name the one that `trd serve` has (--database or TRD_DATABASE); if it is, and the files are "
            f"of no use, delete {files.root}"
        )
    files.clear_incoming()
    on_disk: dict[str, set[str]] = {}
    damaged: list[str] = []
    checked = 0
    for day, path in files.all_files():
        checked += 1
        on_disk.setdefault(day, set()).add(path.name)
        named = NAME.fullmatch(path.name)
        if verify and named and digest_of(path) != named["digest"]:
            damaged.append(f"{day}/{path.name}")
    missing = []
    with database.reading() as connection:
        for row in rows_with_files(connection):
            day = row.files["day"]
            values = {k: v for k, v in row.files.items() if k != "day"}
            names = [files.path(day, row.uid, stored_file).name for stored_file in stored_files(values).values()]
            whole = all(name in on_disk.get(day, ()) for name in names)
            if whole or not row.free:  # what is left of a part that people judge or judged is kept too
                on_disk.get(day, set()).difference_update(names)
            if not whole and not row.pruned:
                missing.append(row.id)
        for mask in connection.execute(select(verdict.c.mask).where(verdict.c.mask.is_not(None))).scalars():
            day, _, name = mask.partition("/")
            on_disk.get(day, set()).discard(name)
    for start in range(0, len(missing), CHUNK):
        database.write(partial(_mark, numbers=missing[start : start + CHUNK], only=true()))
    orphans = 0
    for day, orphan_names in on_disk.items():
        for name in orphan_names:
            (files.root / day / name).unlink(missing_ok=True)
            orphans += 1
    files.delete_empty_days()
    return Reconciled(orphans, len(missing), tuple(damaged), checked)


def rows_with_files(connection: Connection) -> Any:
    """id, uid, files, pruned and free of those that may have files, in pieces: there may be a million."""
    query = select(c.id, c.uid, c.files, c.pruned, _free().label("free"))
    query = query.where((c.pruned == false()) | ~_free()).order_by(c.at, c.id)
    return connection.execution_options(yield_per=5000).execute(query)
