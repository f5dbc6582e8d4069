"""The inputs and outputs of a running station, for those who look after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class AttachedState:
    """fault: what goes wrong, "" where nothing does. at: of the last delivery, milliseconds. waiting:
    results and alarms that the receiver does not have yet. Both None of an input."""

    state: Literal["working", "failing", "ended"]
    fault: str = ""
    at: int | None = None
    waiting: int | None = None

    def with_alarms(self, alarms: AttachedState) -> AttachedState:
        """Of an output, whose receiver gets inspections (this) and alarms."""
        fault = self.fault or (f"alarms: {alarms.fault}" if alarms.fault else "")
        at = max((at for at in (self.at, alarms.at) if at is not None), default=None)
        return AttachedState("failing" if fault else self.state, fault, at, (self.waiting or 0) + (alarms.waiting or 0))


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
