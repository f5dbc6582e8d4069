"""run.json of a run folder: what was run, with which versions and where, and how far every class is."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from trd import processes
from trd.config import Recipe
from trd.errors import CheckpointError, RecipeError
from trd.extras import installed
from trd.files import LOCK, write_json

RUN_FILE = "run.json"
RETRAINING = "retraining"  # in run.json: class -> whether `--retrain` has begun with it; until all are done
VERSIONS_OF = ("torch", "lightning", "numpy", "opencv-python-headless", "safetensors")


@dataclass(frozen=True)
class Record:
    """run.json of the run folder `out`. Its state lives in the file: every call reads it anew."""

    out: Path

    def read(self) -> dict[str, Any]:
        """Empty where there is none. Raises CheckpointError where it is damaged."""
        path = self.out / RUN_FILE
        if not path.exists():
            return {}
        try:
            record = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; choose another --out or delete the folder") from error
        if not isinstance(record, dict):
            raise CheckpointError(f"{path} is damaged: no object; choose another --out or delete the folder")
        return record

    def _write(self, record: dict[str, Any]) -> None:
        if processes.rank() == 0:
            write_json(self.out / RUN_FILE, record)

    def class_names(self) -> list[str]:
        return list(self.read().get("classes", []))

    def enter(self, data: Path, recipe: Recipe, classes: Iterable[str]) -> None:
        """Note a start. Raises CheckpointError when the run is of another recipe or other data.

        A start that failed before anything was made is forgotten.
        """
        record, out = self.read(), self.out
        if not self._holds_work(record):
            record = {}
        if record and record.get("data") != str(data.resolve()):
            raise CheckpointError(
                f"{out} holds a run on other data ({record.get('data')}): choose another --out, or delete that folder"
            )
        if record and _identity(record) != recipe.identity():
            raise CheckpointError(
                f"{out} holds a run of another recipe ('{record.get('recipe', {}).get('name')}', or other values): "
                "choose another --out, or delete that folder"
            )
        facts = facts_of(data, recipe)
        if record:
            facts["continued"] = [*record.get("continued", []), facts.pop("started")]
        recorded = list(record.get("classes", []))
        names = [*recorded, *(name for name in classes if name not in recorded)]
        self._write({**record, **facts, "classes": names})

    def _holds_work(self, record: Mapping[str, Any]) -> bool:
        """Whether a class's folder has a file other than locks."""
        folders = [self.out / name for name in record.get("classes", [])]
        return any(path.is_file() and path.name != LOCK for folder in folders for path in folder.rglob("*"))

    def note(self, name: str, stage: str, state: dict[str, Any]) -> None:
        """Record how a stage of one class went."""
        record = self.read()
        entry = record.setdefault("progress", {}).setdefault(name, {})
        entry[stage] = {**state, "peak_memory_mb": processes.peak_memory_mb()}
        self._write(record)

    def has_noted(self, name: str, stage: str) -> bool:
        return stage in self.read().get("progress", {}).get(name, {})

    def is_done(self, name: str, stage: str) -> bool:
        state = self.read().get("progress", {}).get(name, {}).get(stage, {}).get("state")
        return bool(state == "done")

    def begin_retraining(self, classes: Iterable[str]) -> None:
        """Note which classes are to be trained anew, if that was not begun before: an interrupted call goes on.

        Raises RecipeError under torchrun, whose other processes would take the old detector for the new one.
        """
        if processes.count() > 1:
            raise RecipeError("--retrain works in one process: delete the class's folder, or choose another --out")
        record = self.read()
        self._write({**record, RETRAINING: dict.fromkeys(classes, False) | record.get(RETRAINING, {})})

    def has_begun_retraining(self, name: str) -> bool:
        return bool(self.read()[RETRAINING][name])

    def note_retraining(self, name: str) -> None:
        """That a class's retraining has begun: what is there from now on is of the new one."""
        record = self.read()
        record[RETRAINING][name] = True
        self._write(record)

    def end_retraining(self, classes: Iterable[str]) -> None:
        record, done = self.read(), set(classes)
        remaining = {name: begun for name, begun in record.pop(RETRAINING).items() if name not in done}
        self._write({**record, **({RETRAINING: remaining} if remaining else {})})


def facts_of(data: Path, recipe: Recipe) -> dict[str, Any]:
    """What run.json says of a start."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "data": str(data.resolve()),
        "recipe": recipe.model_dump(mode="json"),
        "seed": recipe.seed,
        "trd": metadata.version("trd-anomaly"),
        "python": platform.python_version(),
        "versions": {name: version for name in VERSIONS_OF if (version := _version(name))},
        "processor": _processor(),
        "processes": processes.count(),
        "command": " ".join(sys.argv),
    }


def _version(distribution: str) -> str:
    """ "" where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    if not installed("torch"):
        return platform.processor() or platform.machine()
    from trd.engines.pytorch.precision import processor_name

    return processor_name()


def _identity(record: dict[str, Any]) -> dict[str, Any] | None:
    """Of the recipe of a run.json; None for a foreign record."""
    try:
        return Recipe.model_validate(record.get("recipe")).identity()
    except ValueError:
        return None
