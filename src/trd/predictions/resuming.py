"""What an interrupted call has done already: its partial scores, and a file beside them that says of what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trd.files import write_json
from trd.predictions.rows import PARTIAL, read_rows
from trd.types import SampleFiles

TASK = "scores.part.json"


@dataclass(frozen=True)
class Task:
    """Detector, settings and parts of a call, by which the same command is known again.

    settings: everything that rows and pictures depend on, as text. parts: ids in order. files: digest of all files'
    paths, sizes and times.
    """

    settings: Mapping[str, str]
    parts: Sequence[str]
    files: str

    @classmethod
    def of(cls, settings: Mapping[str, str], parts: Sequence[SampleFiles]) -> Task:
        return cls(settings, [part.id for part in parts], _digest(parts))

    def to_json(self) -> dict[str, object]:
        return {"settings": dict(self.settings), "parts": len(self.parts), "files": self.files}


@dataclass(frozen=True)
class Done:
    """Parts that have their rows: numbers as in `Written`, ids of those with a score."""

    scored: int = 0
    anomalous: int = 0
    failed: int = 0
    ids: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        return self.scored + self.failed


def done_before(out: Path, task: Task | None) -> Done:
    """Of this very task by a call that was interrupted; nothing where it was another one.

    A last line that was cut off is taken out of the file.
    """
    if task is None or not (out / PARTIAL).is_file():
        return Done()
    try:
        same = json.loads((out / TASK).read_text("utf-8")) == task.to_json()
    except (OSError, ValueError):
        return Done()
    if not same:
        return Done()
    ids: set[str] = set()
    anomalous = count = 0
    for count, row in enumerate(read_rows(out / PARTIAL), start=1):
        if count > len(task.parts) or row["id"] != task.parts[count - 1]:
            return Done()
        if row.get("error") is None:
            ids.add(str(row["id"]))
            anomalous += bool(row["anomalous"])
    _cut_to_whole_lines(out / PARTIAL)
    return Done(len(ids), anomalous, count - len(ids), frozenset(ids))


def begin_anew(out: Path, task: Task | None) -> None:
    """An empty partial file, and of what it will be; in this order, so that a kill between leaves no old rows to it."""
    forget(out)
    (out / PARTIAL).write_bytes(b"")
    if task is not None:
        write_json(out / TASK, task.to_json())


def forget(out: Path) -> None:
    (out / TASK).unlink(missing_ok=True)


def _cut_to_whole_lines(path: Path) -> None:
    with path.open("rb+") as file:
        whole = sum(len(line) for line in file if line.endswith(b"\n"))
        file.truncate(whole)


def _digest(parts: Sequence[SampleFiles]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for source, path in part.sources.items():
            try:
                facts = path.stat()
                state = f"{facts.st_size} {facts.st_mtime_ns}"
            except OSError:
                state = "missing"
            digest.update(repr((part.id, source, str(path.absolute()), state)).encode())
    return digest.hexdigest()
