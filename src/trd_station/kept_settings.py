"""Settings that can be changed while the station runs, in DATA/settings.json: what is given at the start sets them
anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trd.errors import DataError
from trd.files import write_json
from trd_station.settings import KeepInputs, Settings

FILE = "settings.json"


class KeptSettings(BaseModel):
    """A value that is None is not changed."""

    model_config = ConfigDict(extra="forbid")

    audit_rate: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    keep_inputs: KeepInputs | None = None
    keep_days: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    keep_bytes: int | None = Field(None, ge=0, le=2**53 - 1)

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


NAMES = tuple(KeptSettings.model_fields)


@dataclass(frozen=True)
class Change:
    """A setting, and its values before and after."""

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.name} {self.before} -> {self.after}"


def read_kept(data: Path) -> KeptSettings:
    """Nothing where there is no file. Raises DataError for one that is not ours."""
    path = data / FILE
    try:
        return KeptSettings.model_validate(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return KeptSettings()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as the station's settings: {_reason(error)}") from error


def checked(values: Mapping[str, Any]) -> KeptSettings:
    """Raises DataError."""
    try:
        return KeptSettings.model_validate(values)
    except ValidationError as error:
        raise DataError(f"these settings cannot be: {_reason(error)}") from error


def keep(data: Path, values: KeptSettings) -> KeptSettings:
    """Change what is kept; all that is kept then. Raises DataError, OutputError."""
    kept = read_kept(data).model_copy(update=values.given())
    write_json(data / FILE, kept.given())
    return kept


def with_kept(settings: Settings) -> Settings:
    """At the start, with the folder locked: what was given replaces what was kept, and is kept; the rest is as kept."""
    given = checked({name: getattr(settings, name) for name in settings.given})
    kept = keep(settings.data, given) if settings.given else read_kept(settings.data)
    return replace(settings, **kept.given())


def changes(before: Settings, after: Settings) -> list[Change]:
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in NAMES)
    return [Change(*pair) for pair in pairs if pair[1] != pair[2]]


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
