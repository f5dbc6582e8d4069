"""Which model serves each class. What is tried never touches what serves: load, test, warm, and only then switch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from trd.detector import Detector
from trd.errors import TRDError
from trd_station import times
from trd_station.deciding import limits_for
from trd_station.shelf.discovery import (
    AvailableDetector,
    available_detectors,
    detectors_at,
    detectors_of,
    path_of,
    stored_path,
)
from trd_station.shelf.facts import facts_of
from trd_station.shelf.self_test import Recorded, SelfTest, self_test
from trd_station.store import versions
from trd_station.store.database import Database
from trd_station.store.versions import ModelVersion, ThresholdVersion

MOST_IN_MEMORY = 3  # models of a class: the one that serves, the one before, one to be tried

log = logging.getLogger("trd")


class RefusedModel(TRDError):
    """A model that did not load or did not pass its self-test; its row says so. version: that row."""

    def __init__(self, message: str, version: ModelVersion) -> None:
        super().__init__(message)
        self.version = version


@dataclass(frozen=True)
class Serving:
    """What decides the parts of a class: everything that an answer names."""

    class_name: str
    version: ModelVersion
    detector: Detector
    threshold: ThresholdVersion


@dataclass(frozen=True)
class Replaced:
    """A class that another model serves than before the start. rejected_above: the limit that was in force."""

    before: ModelVersion
    rejected_above: float | None
    now: Serving

    def __str__(self) -> str:
        """For its event."""
        above = "" if self.rejected_above is None else f", which rejected above {self.rejected_above:.5g}"
        return (
            f"{self.before.name} (model {self.before.id}) served before{above}, and is not at {self.before.path} any "
            f"more or was refused; now {self.now.version.name} (model {self.now.version.id}) serves and rejects above "
            f"{self.now.threshold.limits.reject_above:.5g}. If that is not wanted, give the earlier one at the start, "
            "or put it into the station's folder `models`, and switch to it"
        )


class Shelf:
    """Reads without a lock (a `Serving` is replaced whole); whoever changes something holds one.

    recorded: gives parts that a detector of this identity and calibration has scored before, for its self-test.
    """

    def __init__(
        self,
        database: Database,
        detectors: Sequence[AvailableDetector],
        models: Path,
        device: str,
        review_factor: float,
        recorded: Callable[[str, str], list[Recorded]],
    ) -> None:
        self._database, self._at_start, self._models = database, tuple(detectors), models
        self._device, self._review_factor, self._recorded = device, review_factor, recorded
        self._changing = threading.RLock()
        self._serving: dict[str, Serving] = {}
        self._classes: dict[str, None] = {}  # in order
        self._warm: dict[int, Detector] = {}  # by model, the last one used at the end

    def available(self) -> dict[str, AvailableDetector]:
        """By name: given at the start, known from the database, or in the folder `models`."""
        with self._database.reading() as connection:
            rows, names = versions.models(connection), versions.class_names(connection)
        data = self._models.parent
        kept = [row for row in rows if row.state != "failed" and not Path(row.path).is_absolute()]
        if not self._at_start:
            kept += [row for row in rows if row.state == "serving"]
        given = {candidate.path for candidate in self._at_start}
        known = [candidate for candidate in detectors_of(kept, names, data) if candidate.path not in given]
        return available_detectors([*known, *self._at_start], self._models)  # so those known keep their names

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that a detector was found for at the start or was sent for, whether or not it serves, and those that
        began to be served since."""
        return tuple(self._classes)

    def serving(self, class_name: str) -> Serving | None:
        return self._serving.get(class_name)

    def in_memory(self, model_id: int) -> Detector | None:
        return self._warm.get(model_id)

    def start(self) -> tuple[list[RefusedModel], list[Replaced]]:
        """Have every class served: by the model that served before, wherever it lies now, else by what lies where that
        lay, else by the first one given for it. Without any given at the start: by what served before. A class that is
        known, never was served and has detectors in the folder `models` alone waits for a switch: it is taught.

        Those that were refused come back, and classes that another model serves than before. Raises CheckpointError
        where detectors were refused and no class is served.
        """
        refused, replaced = [], []
        given = {candidate.path for candidate in self._at_start}
        with self._database.reading() as connection:
            known = set(versions.class_names(connection).values())
            served = versions.served_classes(connection)
        with self._changing:
            available = self.available()
            for class_name, named in _by_class(available.values()).items():
                if class_name in known - served and not given & {candidate.path for candidate in named}:
                    continue
                self._classes[class_name] = None
                number = self._database.write(partial(versions.class_id, name=class_name))
                with self._database.reading() as connection:
                    before = [m for m in versions.models(connection, number) if m.state == "serving"]
                    limits = versions.active_threshold(connection, before[0].id) if before else None
                for candidate in sorted(named, key=partial(self._rank, before=before[0] if before else None)):
                    try:
                        now = self._begin(class_name, self._load(class_name, candidate, "station"))
                        if before and now.id != before[0].id:
                            above = limits.limits.reject_above if limits else None
                            replaced.append(Replaced(before[0], above, self._serving[class_name]))
                        break
                    except RefusedModel as error:
                        log.warning("%s", error)
                        refused.append(error)
        if refused and not self._serving:
            raise refused[0]
        return refused, replaced

    def _rank(self, candidate: AvailableDetector, before: ModelVersion | None) -> tuple[bool, bool, bool]:
        """The lowest one serves."""
        given = candidate.path in {detector.path for detector in self._at_start}
        if before is None:
            return True, True, not given
        same = (candidate.detector, candidate.calibration) == (before.detector, before.calibration)
        return not same, candidate.path != self._path(before), not given

    def _path(self, version: ModelVersion) -> Path:
        return path_of(version.path, self._models.parent)

    def load(self, class_name: str, name: str, who: str) -> ModelVersion:
        """Load, test and warm a detector that was found; it does not serve yet. Raises KeyError for a name that was
        not found or is of another class, RefusedModel."""
        candidate = self.available()[name]
        if candidate.class_name != class_name:
            raise KeyError(name)
        with self._changing:
            return self._load(class_name, candidate, who)

    def take(self, class_name: str, path: Path, who: str) -> ModelVersion:
        """`load` of a package that was sent for a class; a class that is new is served by it at once. Raises
        RefusedModel."""
        (candidate,) = detectors_at(str(path))
        with self._changing:
            version = self._load(class_name, replace(candidate, class_name=class_name), who)
            if class_name in self._classes:
                return version
            self._classes[class_name] = None
            return self._begin(class_name, version)

    def test(self, version: ModelVersion) -> ModelVersion:
        """Test a model again; one that fails while it serves goes on serving, and the caller tells."""
        with self._changing:
            version = self._as_it_is(version)
            detector = self._detector(version)
            result = self._tested(version, detector)
            return self._save(replace(version, self_test=result.to_json(), error=result.fault or None))

    def switch(self, version: ModelVersion) -> ModelVersion:
        """Have a model serve its class from the next part on. Raises RefusedModel, also where another detector lies now
        where this one lay."""
        with self._changing:
            version = self._as_it_is(version)
            with self._database.reading() as connection:
                name = versions.class_names(connection)[version.class_id]
            current = self._serving.get(name)
            if current is not None and current.version.id == version.id:
                return current.version
            if version.id not in self._warm or not (version.self_test or {}).get("passed"):
                names = version.name, self._path(version), name
                candidate = AvailableDetector(*names, version.detector, version.calibration)
                loaded = self._load(name, candidate, version.who)
                if loaded.id != version.id:
                    message = (
                        f"{version.path} holds another detector or calibration now (model {loaded.id}) than model "
                        f"{version.id} was: switch to that one, or put the earlier one back"
                    )
                    raise RefusedModel(message, self._save(replace(self._as_it_is(version), error=message)))
                version = loaded
            return self._begin(name, version)

    def before(self, class_name: str) -> ModelVersion | None:
        """The model that served before the one that serves."""
        current = self._serving[class_name].version
        with self._database.reading() as connection:
            models = versions.models(connection, current.class_id)
        served = [m for m in models if m.served_at is not None and m.id != current.id and m.state != "failed"]
        return max(served, key=lambda m: m.served_at or 0) if served else None

    def set_threshold(self, class_name: str, version: ThresholdVersion) -> None:
        """What decides from the next part on; it is stored already."""
        with self._changing:
            current = self._serving.get(class_name)
            if current is not None and current.version.id == version.model_id:
                self._serving[class_name] = replace(current, threshold=version)

    def _begin(self, class_name: str, version: ModelVersion) -> ModelVersion:
        detector, current = self._detector(version), self._serving.get(class_name)
        serving = replace(version, state="serving", served_at=times.now())

        def write(connection: Connection) -> ThresholdVersion:
            for other in versions.models(connection, version.class_id):
                if other.state == "serving" and other.id != version.id:
                    versions.save_model(connection, replace(other, state="ready" if current else "retired"))
            versions.save_model(connection, serving)
            active = versions.active_threshold(connection, version.id)
            return active or versions.add_threshold(connection, first_threshold(serving, detector, self._review_factor))

        threshold = self._database.write(write)
        self._serving[class_name] = Serving(class_name, serving, detector, threshold)
        self._classes[class_name] = None
        self._retire(class_name, keep={serving.id, *([current.version.id] if current else [])})
        return serving

    def _load(self, class_name: str, candidate: AvailableDetector, who: str) -> ModelVersion:
        number = self._database.write(partial(versions.class_id, name=class_name))
        place = stored_path(candidate.path, self._models.parent)
        blank = ModelVersion(number, candidate.name, place, candidate.detector, "", {}, "failed", who)
        try:
            detector = Detector.load(candidate.path, self._device)
        except TRDError as error:
            raise RefusedModel(str(error), self._save(replace(blank, error=str(error)))) from error
        with self._database.reading() as connection:
            models = versions.models(connection, number)
        identity, facts = (detector.facts.id, detector.calibration.id), facts_of(detector)
        same = next((m for m in models if (m.detector, m.calibration) == identity and _computes(m, facts)), None)
        version = replace(
            same or blank,
            name=candidate.name,
            path=place,
            detector=identity[0],
            calibration=identity[1],
            facts=facts,
        )
        result = self._tested(version, detector)
        version = replace(version, self_test=result.to_json(), error=result.fault or None)
        serves = class_name in self._serving and self._serving[class_name].version.id == version.id
        if not result.passed:
            version = self._save(replace(version, state="serving" if serves else "failed"))
            raise RefusedModel(f"{candidate.name}: the self-test failed: {result.fault}", version)
        version = self._save(replace(version, state="serving" if serves else "ready"))
        self._warm[version.id] = detector
        self._retire(class_name, keep={version.id})
        return version

    def _as_it_is(self, version: ModelVersion) -> ModelVersion:
        """Its row now, since the caller read it before others were done."""
        with self._database.reading() as connection:
            return versions.model_by_id(connection, version.id) or version

    def _tested(self, version: ModelVersion, detector: Detector) -> SelfTest:
        return self_test(detector, self._recorded(version.detector, version.calibration))

    def _save(self, version: ModelVersion) -> ModelVersion:
        number = self._database.write(partial(versions.save_model, version=version))
        return replace(version, id=number)

    def _detector(self, version: ModelVersion) -> Detector:
        detector = self._warm.pop(version.id, None) or Detector.load(self._path(version), self._device)
        self._warm[version.id] = detector
        return detector

    def _retire(self, class_name: str, keep: set[int]) -> None:
        """Take the models longest unused out of memory, but those to keep and the one that serves."""
        current = self._serving.get(class_name)
        keep = keep | ({current.version.id} if current else set())
        with self._database.reading() as connection:
            number = versions.class_id(connection, class_name)
            models = {m.id: m for m in versions.models(connection, number)}
        warm_ids = [number for number in self._warm if number in models]
        for number in [number for number in warm_ids if number not in keep][: max(0, len(warm_ids) - MOST_IN_MEMORY)]:
            del self._warm[number]
        for version in models.values():
            if version.state == "ready" and version.id not in self._warm:
                self._save(replace(version, state="retired"))


def first_threshold(version: ModelVersion, detector: Detector, review_factor: float) -> ThresholdVersion:
    """What a model begins with; it is not stored."""
    calibration = detector.calibration
    threshold = calibration.image_threshold
    limits = limits_for(
        calibration.good_scores,
        threshold.requested_rate,
        min(review_factor * threshold.requested_rate, 0.5),
        calibration.promise,
    )
    limits = replace(limits, reject_above=threshold.value, review_above=min(limits.review_above, threshold.value))
    return ThresholdVersion(version.class_id, version.id, limits, "training", "station", "first")


def _computes(version: ModelVersion, facts: Mapping[str, Any]) -> bool:
    """Whether it computed as this one does: a package of a detector is another model than its folder."""
    return all(version.facts.get(key) == facts[key] for key in ("engine", "precision"))


def _by_class(candidates: Iterable[AvailableDetector]) -> dict[str, list[AvailableDetector]]:
    classes: dict[str, list[AvailableDetector]] = {}
    for candidate in candidates:
        classes.setdefault(candidate.class_name, []).append(candidate)
    return classes
