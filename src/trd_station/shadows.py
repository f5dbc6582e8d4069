"""The shadows of all classes: one model each that scores what the serving one decides, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from trd.errors import OutputError
from trd_station.shelf.discovery import path_of
from trd_station.store import shadows, versions
from trd_station.store.database import Database
from trd_station.store.shadows import Shadow
from trd_station.store.verdicts import NewEvent
from trd_station.store.versions import ModelVersion
from trd_station.stored_parts import StoredParts
from trd_station.teaching.shadow import ShadowProcess
from trd_station.work.jobs import Stored


class Shadows:
    """folder: for logs. report: of an event. A class's shadow goes on after the station's next start."""

    def __init__(self, database: Database, parts: StoredParts, folder: Path, report: Callable[[NewEvent], Any]) -> None:
        self._database, self._parts, self._folder, self._report = database, parts, folder, report
        self._changing = threading.Lock()
        self._running: dict[int, tuple[Shadow, ShadowProcess]] = {}  # by class

    def start(self) -> None:
        with self._database.reading() as connection:
            open_shadows = shadows.open_shadows(connection)
            models = {shadow.id: versions.model_by_id(connection, shadow.model_id) for shadow in open_shadows}
        for shadow in open_shadows:
            version = models[shadow.id]
            assert version is not None  # rows refer to it
            self._run(shadow, self._process(version))  # which loads the model while the station answers

    def stop(self) -> None:
        """Their rows stay open."""
        with self._changing:
            for _, process in self._running.values():
                process.stop()
            self._running.clear()

    def _process(self, version: ModelVersion) -> ShadowProcess:
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"shadow-{version.class_id}.txt"
        return ShadowProcess(path_of(version.path, self._folder.parent), log)

    def _run(self, shadow: Shadow, process: ShadowProcess) -> None:
        self._running[shadow.class_id] = shadow, process
        process.start(partial(self._scored, shadow.id), partial(self._give_up, shadow))

    def begin(self, version: ModelVersion, who: str) -> Shadow:
        """From the next part on, in the place of the class's one before. Raises DataError for a model that cannot be
        loaded."""
        with self._changing:
            process = self._process(version)
            own_limit = process.loaded()
            with self._database.reading() as connection:
                active = versions.active_threshold(connection, version.id)
            limit = active.limits.reject_above if active else own_limit
            try:
                shadow = self._database.write(
                    partial(shadows.begin, class_id=version.class_id, model_id=version.id, reject_above=limit, who=who)
                )
            except OutputError:
                process.stop()
                raise
            self._stop(version.class_id)
            self._run(shadow, process)
            return shadow

    def end(self, class_id: int) -> None:
        with self._changing:
            self._stop(class_id)
            self._database.write(partial(shadows.end, class_id=class_id))

    def _stop(self, class_id: int) -> None:
        running = self._running.pop(class_id, None)
        if running is not None:
            running[1].stop()

    def running(self, class_id: int) -> tuple[Shadow, ShadowProcess] | None:
        return self._running.get(class_id)

    def observe(self, rows: Sequence[Stored]) -> None:
        """Inspections that were stored."""
        for row in rows:
            running = self._running.get(row["class_id"])
            if running is None or row["score"] is None or row["model_id"] == running[0].model_id:
                continue
            part = self._parts.judged(row)
            if part is None:
                running[1].skipped += 1
            else:
                running[1].offer(part)

    def _scored(self, shadow_id: int, inspection_id: int, score: float) -> None:
        self._database.begin(partial(shadows.add_score, shadow_id=shadow_id, inspection_id=inspection_id, score=score))

    def _give_up(self, shadow: Shadow, reason: str) -> None:
        self._running.pop(shadow.class_id, None)  # whoever puts another one there has waited for this one's end
        self._report(NewEvent("warning", "model", f"the shadow has ended: {reason}", shadow.class_id))
        self._database.begin(partial(shadows.end_one, shadow_id=shadow.id))
