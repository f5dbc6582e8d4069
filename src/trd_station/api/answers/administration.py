"""Tokens, inputs and outputs, settings and disk."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from trd_station.api.answers.describing import Role, Time
from trd_station.settings import KeepInputs


class Token(BaseModel):
    """made, seen: when it was made and last used; null where that is not known."""

    name: str
    role: Role
    made: Time | None
    seen: Time | None


class TokenList(BaseModel):
    tokens: list[Token]


class NewToken(BaseModel):
    """token: shown here alone."""

    name: str
    role: Role
    token: str


class Attached(BaseModel):
    """An input or output. at: of the last delivery. waiting: results and alarms that its receiver does not have
    yet."""

    name: str
    where: str
    state: Literal["working", "failing", "ended"]
    fault: str
    at: Time | None
    waiting: int | None


class Disk(BaseModel):
    """Of the file system with the station's folder; its files and its database."""

    total_bytes: int
    free_bytes: int
    files_bytes: int
    database_bytes: int


class Changeable(BaseModel):
    audit_rate: float
    keep_inputs: KeepInputs
    keep_days: float
    keep_bytes: int


class Administration(BaseModel):
    folder: str
    database: str
    disk: Disk
    settings: Changeable
    inputs: list[Attached]
    outputs: list[Attached]
    last_backup: Time | None


class Tested(BaseModel):
    """What a test of an input or output found."""

    passed: bool
    text: str
