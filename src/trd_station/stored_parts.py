"""Parts that were inspected, with what is still there of them: their files, and the detectors that know them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from trd.detector import Detector
from trd.errors import TRDError
from trd.stored import DetectorFacts
from trd_station.reading import Inputs
from trd_station.serialization import Serializer
from trd_station.shelf.discovery import known_facts, path_of
from trd_station.shelf.self_test import Recorded
from trd_station.shelf.shelf import Shelf
from trd_station.store import versions
from trd_station.store.database import Database
from trd_station.store.files import INPUT, Files, stored_files
from trd_station.store.schema import inspection
from trd_station.store.versions import ModelVersion
from trd_station.teaching.trial import JudgedPart

RECORDED = 3  # parts that a self-test predicts again


class StoredParts:
    """shelf: set by the station when there is one; its self-tests ask for `recorded`."""

    def __init__(self, database: Database, files: Files, serializer: Serializer) -> None:
        self._database, self._files, self._serializer = database, files, serializer
        self.shelf: Shelf | None = None
        self._facts: dict[int, DetectorFacts] = {}  # of models that were not in memory

    def inputs(self, row: Mapping[str, Any]) -> Inputs:
        """The files of a part, as far as they are there."""
        files = stored_files({role: values for role, values in row["files"].items() if role != "day"})
        paths = {
            role.removeprefix(INPUT): self._files.path(row["files"]["day"], row["uid"], stored_file)
            for role, stored_file in files.items()
            if role.startswith(INPUT)
        }
        camera_file = paths.pop("camera", None)
        facts = self.facts_of(row["model_id"])
        camera = facts.camera if facts else None
        return Inputs(paths, tuple(self._serializer.model_of(row["model_id"]).facts["clouds"]), camera, camera_file)

    def judged(self, row: Mapping[str, Any]) -> JudgedPart | None:
        """A part for another process to score; None where a file is not there."""
        inputs = self.inputs(row)
        paths = {name: str(path) for name, path in inputs.sources.items() if path.is_file()}
        if not set(self._serializer.model_of(row["model_id"]).facts["sources"]) <= set(paths):
            return None
        camera = str(inputs.camera_file) if inputs.camera_file else None
        kind, is_sampled = row["verdict_kind"], row["sampled"]
        return JudgedPart(row["id"], row["part"], row["verdict"], kind, is_sampled, paths, camera)

    def facts_of(self, model_id: int) -> DetectorFacts | None:
        """Of the detector of a model, in memory or not; None where it is not on the disk any more."""
        version = self._serializer.model_of(model_id)
        detector = self._detector_in_memory(version)
        if detector is not None:
            return detector.facts
        if model_id not in self._facts:
            with contextlib.suppress(TRDError):
                facts = known_facts(path_of(version.path, self._files.root.parent))
                if facts.id == version.detector:
                    self._facts[model_id] = facts
        return self._facts.get(model_id)

    def _detector_in_memory(self, version: ModelVersion) -> Detector | None:
        """Of the model, or of the serving one where that is of the same training."""
        if self.shelf is None:
            return None
        serving = self.shelf.serving(self._serializer.class_name(version.class_id))
        if serving is not None and serving.version.detector == version.detector:
            return serving.detector
        return self.shelf.in_memory(version.id)

    def recorded(self, detector: str, calibration: str) -> list[Recorded]:
        """The last parts that a detector of this identity and calibration has scored, whose files are there."""
        c = inspection.c
        with self._database.reading() as connection:
            model_ids = [
                m.id for m in versions.models(connection) if (m.detector, m.calibration) == (detector, calibration)
            ]
            query = select(inspection).where(c.model_id.in_(model_ids), c.score.is_not(None), ~c.pruned)
            rows = connection.execute(query.order_by(c.at.desc()).limit(RECORDED)).mappings().all()
        parts = []
        for row in rows:
            with contextlib.suppress(TRDError, KeyError):  # its inputs were not kept
                inputs = self.inputs(dict(row))
                if set(self._serializer.model_of(row["model_id"]).facts["sources"]) <= set(inputs.sources):
                    parts.append(Recorded(inputs.sample(row["part"]), row["score"]))
        return parts
