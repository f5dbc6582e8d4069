"""What a trial compares: models by name, the one that serves, and judged parts whose files are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trd.errors import DataError
from trd.packages.facts import facts_at
from trd_station.shelf.discovery import AvailableDetector, path_of
from trd_station.station import Station
from trd_station.store import history, versions
from trd_station.store.filters import Filters
from trd_station.store.versions import ModelVersion
from trd_station.teaching.trial import JudgedPart, Plan, Tried
from trd_station.trial_model import trial_model

VERDICTS = ("defect", "good")


def available_of(station: Station, class_name: str, name: str) -> AvailableDetector:
    """Raises DataError for a name that is not found, or is of another class."""
    available = {n: one for n, one in station.shelf.available().items() if one.class_name == class_name}
    if name not in available:
        listed = ", ".join(available) or "none"
        raise DataError(f"no model '{name[:60]}' of '{class_name}' was found; there are: {listed}")
    return available[name]


def planned(station: Station, class_name: str, names: tuple[str, ...], most: int) -> Plan:
    """most: parts of each verdict, the newest. Raises DataError where there is nothing to try, or nothing to try on."""
    models = [_tried(station, class_name, name) for name in names]
    serving = station.shelf.serving(class_name)
    if serving is not None and (place := _place(station, serving.version)) not in {model.path for model in models}:
        limit = serving.threshold.limits.reject_above
        models.insert(0, Tried(serving.version.name, place, True, limit))
    sources = {source for model in models for source in facts_at(Path(model.path)).recipe.inputs}
    parts = [part for verdict in VERDICTS for part in _judged(station, class_name, verdict, sources, most)]
    if not parts:
        raise DataError(f"no part of '{class_name}' with the verdict good or defect has its files here: judge some")
    return Plan(tuple(models), tuple(parts))


def _tried(station: Station, class_name: str, name: str) -> Tried:
    path = str(available_of(station, class_name, name).path)
    serving = station.shelf.serving(class_name)
    serves = serving is not None and _place(station, serving.version) == path
    with station.database.reading() as connection:
        loaded = [m for m in versions.models(connection, station.class_id(class_name)) if _place(station, m) == path]
        limit = trial_model(connection, loaded[0], station.settings.data).reject_above if loaded else None
    return Tried(name, path, serves, limit)


def _place(station: Station, version: ModelVersion) -> str:
    """The absolute path of a model."""
    return str(path_of(version.path, station.settings.data))


def _judged(station: Station, class_name: str, verdict: str, sources: set[str], most: int) -> Iterator[JudgedPart]:
    filters = Filters((station.class_id(class_name),), verdicts=(verdict,))
    with station.database.reading() as connection:
        rows, _ = history.page(connection, filters, None, most)
    for row in rows:
        part = station.parts.judged(row)
        if part is not None and sources <= set(part.sources):
            yield part
