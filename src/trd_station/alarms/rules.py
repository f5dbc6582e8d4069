"""When an alarm is raised, for each class and for the whole station."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

LONGEST_WINDOW = 1000  # parts of which a rate of rejects is told


@dataclass(frozen=True)
class ClassRules:
    """rejects_in_row: parts rejected one after the other. reject_rate: share of rejected parts, 0 to 1, among the last
    `reject_window`. invalid_in_row: parts one after the other that cannot be judged. 0 switches one of these off.
    drift: whether a measure that the watch has seen change is an alarm, or else a warning; lesson: the same of a lesson
    that sampled parts show to be worse."""

    rejects_in_row: int = 5
    reject_rate: float = 0.3
    reject_window: int = 50
    invalid_in_row: int = 3
    drift: bool = True
    lesson: bool = True


@dataclass(frozen=True)
class StationRules:
    """output_dead_s: seconds for which an output has not received. disk_free_gb: GB that must be free where the
    station keeps its files. 0 switches one off."""

    output_dead_s: float = 60.0
    disk_free_gb: float = 2.0


Rules = TypeVar("Rules", ClassRules, StationRules)


def rules_from_json(kind: type[Rules], stored: Mapping[str, Any]) -> Rules:
    """What is not stored, as of an earlier version, is the default; what is not known any more is left out."""
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in stored.items() if name in names})


def rules_to_json(rules: ClassRules | StationRules) -> dict[str, Any]:
    return asdict(rules)
