"""The detectors of a backup: found by the database's rows, and where they lie in the archive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, update

from trd.errors import CheckpointError
from trd.packages.facts import RECORD, facts_at
from trd.packages.package import SUFFIX, is_package
from trd.stored import FACTS, RECIPE, WEIGHTS, WITHOUT
from trd_station.shelf.discovery import path_of, stored_path
from trd_station.store import versions
from trd_station.store.schema import model
from trd_station.store.versions import ModelVersion

FOLDER = "models"
KEPT = (WEIGHTS, RECIPE, FACTS, RECORD)  # and folders:
FOLDERS = ("calibrations", WITHOUT)
UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class BackedUpModel:
    """files: (file, its name in the archive). place: of the detector in the archive, as its row has it then."""

    row: ModelVersion
    place: str
    files: tuple[tuple[Path, str], ...]


def models_of(connection: Connection, data: Path) -> tuple[list[BackedUpModel], list[str]]:
    """The models that serve, served or could serve, and what to tell of those that lie there no longer.

    Raises CheckpointError where one that serves is not at its place as it is in memory: no archive would restore it.
    """
    names = versions.class_names(connection)
    places: dict[tuple[int, Path], str] = {}
    kept: list[BackedUpModel] = []
    lost: list[str] = []
    for row in versions.models(connection):
        if row.state == "failed":
            continue
        path = path_of(row.path, data)
        fault = _fault(path, row)
        if fault and row.state == "serving":
            raise CheckpointError(
                f"'{names[row.class_id]}' is served by {row.name} (model {row.id}), but {path} {fault}: put it back, "
                "or switch to a model that is there"
            )
        if fault:
            lost.append(f"{row.name} (model {row.id}): {path} {fault}")
            continue
        place = places.setdefault((row.class_id, path), _place(row, path, names[row.class_id], data))
        kept.append(BackedUpModel(row, place, _files_of(path, place)))
    return kept, lost


def _fault(path: Path, row: ModelVersion) -> str:
    try:
        facts = facts_at(path)
    except CheckpointError:
        return "holds no detector any more"
    same = (facts.id, facts.calibration.id) == (row.detector, row.calibration)
    return "" if same else "holds another detector or calibration now"


def _place(row: ModelVersion, path: Path, class_name: str, data: Path) -> str:
    place = stored_path(path, data)
    if place.startswith(f"{FOLDER}/"):
        return place
    ending = SUFFIX if is_package(path) else ""
    return f"{FOLDER}/{UNSAFE.sub('_', class_name)[:60]}-{row.id}-{row.detector[:8]}-{row.calibration[:8]}{ending}"


def _files_of(path: Path, place: str) -> tuple[tuple[Path, str], ...]:
    if path.is_file():
        return ((path, place),)
    return tuple((file, f"{place}/{rest.as_posix()}") for file, rest in _files(path))


def _files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """(file, path below the detector's folder)."""
    for name in KEPT:
        if (folder / name).is_file():
            yield folder / name, Path(name)
    for name in FOLDERS:
        for file in sorted((folder / name).rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                yield file, file.relative_to(folder)


def point_to(connection: Connection, models: list[BackedUpModel]) -> None:
    """Have the snapshot's rows name the places in the archive."""
    for backed_up in models:
        connection.execute(update(model).where(model.c.id == backed_up.row.id).values(path=backed_up.place))


def files_in(data: Path) -> Iterator[tuple[Path, str]]:
    """All files of detectors in the station's folder `models`, whether or not a row names them."""
    for file in sorted((data / FOLDER).rglob("*")):
        rest = file.relative_to(data)
        if file.is_file() and not any(part.startswith(".") or part == "checkpoints" for part in rest.parts):
            yield file, rest.as_posix()
