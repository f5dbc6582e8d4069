"""What a station is told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trd.errors import RecipeError

if TYPE_CHECKING:
    from sqlalchemy import URL  # commands without a station do without it

KeepInputs = Literal["all", "flagged", "none"]


@dataclass(frozen=True)
class Settings:
    """data: folder of database and files. database: a SQLAlchemy URL; "" means SQLite in `data`.

    capacity: parts that may be queued or worked on at once. max_parts: of one request. max_body_bytes: of one request.
    max_model_bytes: of a package that is sent, as sent and unpacked.
    upload_seconds: that the form of a request may take to come. group: parts that are prepared together. batch: parts
    that the engine computes together; 1 gives scores equal to the bit to `Detector.predict`. audit_rate: share of parts
    drawn at random before they are decided. review_factor: the first review limit is for this many times the detector's
    false-alarm rate. keep_inputs: of which parts the files that were sent stay ("flagged": rejected, in review, sampled
    or invalid). keep_days, keep_bytes: what retention leaves. watch_rate: probability of any false drift alarm of a
    class. given: names of those that stand in place of what is kept in DATA/settings.json.
    """

    data: Path
    name: str = "station"
    database: str = ""
    device: str = "auto"
    capacity: int = 64
    max_parts: int = 16
    max_body_bytes: int = 512 * 2**20
    max_model_bytes: int = 2 * 10**9
    upload_seconds: float = 60.0
    group: int = 8
    batch: int = 1
    audit_rate: float = 0.01
    review_factor: float = 2.0
    keep_inputs: KeepInputs = "all"
    keep_days: float = 90.0
    keep_bytes: int = 50 * 10**9
    watch_rate: float = 0.01
    given: tuple[str, ...] = ()

    @property
    def url(self) -> URL:
        """Of the database. Its parts are set one by one, since a folder's name may hold what ends a part of a URL.

        Raises RecipeError for a `database` that is no URL.
        """
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError

        if not self.database:
            return URL.create("sqlite", database=str((self.data / "station.db").resolve()))
        try:
            return make_url(self.database)
        except (ArgumentError, ValueError) as error:  # not repeated: it may hold a password
            raise RecipeError("--database (TRD_DATABASE) is no SQLAlchemy URL: expected KIND://...") from error

    @property
    def models(self) -> Path:
        """The folder whose detectors can be loaded by name."""
        return self.data / "models"
