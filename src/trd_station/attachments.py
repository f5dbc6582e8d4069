"""The inputs and outputs of a running station, for those who look after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class AttachedState:
    """fault: what goes wrong, "" where nothing does. at: of the last delivery, milliseconds. waiting:
    results that the receiver does not have yet. Both None of an input."""

    state: Literal["working", "failing", "ended"]
    fault: str = ""
    at: int | None = None
    waiting: int | None = None


@dataclass(frozen=True)
class Attachment:
    """where: its folder or address, without a password. test: tries it now; what it found. Raises TRDError."""

    name: str
    where: str
    state: Callable[[], AttachedState]
    test: Callable[[], str]


@dataclass
class Attachments:
    """In the order of the options; their places here name them."""

    inputs: list[Attachment] = field(default_factory=list)
    outputs: list[Attachment] = field(default_factory=list)
