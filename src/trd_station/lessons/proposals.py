"""What a lesson would be made of now: which detector would learn, from which parts, and what is missing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from trd.errors import DataError, TRDError
from trd.learning.learner import learner
from trd.learning.record import FEWEST, read_lesson
from trd.packages.facts import digests_of_parts
from trd.packages.package import is_package
from trd_station.lessons.parts import Candidate, JudgedParts, camera_of
from trd_station.serialization import Serializer
from trd_station.shelf.discovery import AvailableDetector, detectors_of, path_of
from trd_station.shelf.shelf import Shelf
from trd_station.store import versions
from trd_station.store.database import Database
from trd_station.store.files import Files
from trd_station.store.versions import ModelVersion
from trd_station.stored_parts import StoredParts
from trd_station.teaching.jobs import Job
from trd_station.teaching.lesson import LessonPlan
from trd_station.teaching.teaching import Teaching


@dataclass(frozen=True)
class Proposal:
    """learner: the detector that would learn. hindrance: why it cannot, whatever the parts are."""

    learner: AvailableDetector
    hindrance: str | None
    candidates: tuple[Candidate, ...]
    wrongly_rejected: tuple[Candidate, ...]

    @property
    def usable(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.reason is None]

    @property
    def missing(self) -> int:
        """Defective parts that a lesson lacks."""
        return max(0, FEWEST - len(self.usable))


class Proposals:
    def __init__(
        self,
        database: Database,
        serializer: Serializer,
        shelf: Shelf,
        stored: StoredParts,
        teaching: Teaching,
        files: Files,
    ) -> None:
        self._database, self._serializer, self._shelf, self._teaching = database, serializer, shelf, teaching
        self._judged = JudgedParts(database, files, stored)
        self._data = files.root.parent

    def proposal(self, version: ModelVersion) -> Proposal:
        """For a model. Raises DataError where a part's file cannot be read."""
        detector = self._learner(version)
        sources, known, hindrance = tuple(version.facts.get("sources", ())), frozenset[str](), None
        try:
            facts, folder = learner(detector.path, self._teaching.data_of(detector.class_name, detector.name))
            sources, known = facts.recipe.inputs, digests_of_parts(folder)
        except TRDError as error:
            hindrance = str(error)
        defects = self._judged.defects(version.class_id, sources, known)
        defective = {candidate.part.digest for candidate in defects if candidate.part}
        rejected = self._judged.wrongly_rejected(version.class_id, sources, known | defective)
        return Proposal(detector, hindrance, tuple(defects), tuple(rejected))

    def _learner(self, version: ModelVersion) -> AvailableDetector:
        """The model's folder; of a package or of a taught detector the folder that it was made from, where that is
        here."""
        path, class_name = path_of(version.path, self._data), self._serializer.class_name(version.class_id)
        detector = AvailableDetector(version.name, path, class_name, version.detector, version.calibration)
        if is_package(path):
            detector = self._folder_of(detector, version, version.detector)
        if (record := read_lesson(detector.path)) is not None:
            detector = self._folder_of(detector, version, record["detector_before"])
        return detector

    def _folder_of(self, other: AvailableDetector, version: ModelVersion, identity: str) -> AvailableDetector:
        """Of a detector of the class with this identity, best with the model's calibration; else the other one."""
        with self._database.reading() as connection:
            rows = versions.models(connection, version.class_id)
        known = detectors_of(rows, {version.class_id: other.class_name}, self._data)
        known += [one for one in self._shelf.available().values() if one.class_name == other.class_name]
        folders = [one for one in known if one.detector == identity and not is_package(one.path)]
        folders.sort(key=lambda one: one.calibration != version.calibration)
        return folders[0] if folders else other

    def ask(self, version: ModelVersion, left_out: Collection[int], who: str) -> Job:
        """A job that teaches what people called defective, but for parts left out by the numbers of their inspections.
        Raises DataError where something is missing."""
        proposal = self.proposal(version)
        if proposal.hindrance:
            raise DataError(proposal.hindrance)
        chosen = [candidate for candidate in proposal.usable if candidate.row["id"] not in left_out]
        if len(chosen) < FEWEST:
            raise DataError(
                f"{len(chosen)} defective parts can be taught, at least {FEWEST} are needed: judge more, best with a "
                "mark of the place"
            )
        rejected = [part for part in proposal.wrongly_rejected if part.reason is None]
        good = [candidate for candidate in rejected if candidate.row["id"] not in left_out]
        detector = proposal.learner
        data = self._teaching.data_of(detector.class_name, detector.name)
        plan = LessonPlan(
            detector.name,
            str(detector.path),
            detector.detector,
            str(data) if data else None,
            camera_of(chosen)[1],
            tuple(candidate.part for candidate in chosen if candidate.part),
            tuple(candidate.part for candidate in good if candidate.part),
        )
        return self._teaching.learn(detector.class_name, who, plan)
