"""A model as a trial takes it: where it lies, and above which score it rejects here."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from trd_station.shelf.discovery import path_of
from trd_station.store import versions
from trd_station.store.versions import ModelVersion
from trd_station.teaching.trial import Tried


def trial_model(connection: Connection, version: ModelVersion, data: Path) -> Tried:
    """data: the station's folder."""
    active = versions.active_threshold(connection, version.id)
    limit = active.limits.reject_above if active else None
    return Tried(version.name, str(path_of(version.path, data)), version.state == "serving", limit)
