"""What a lesson would be made of now: which detector would learn, from which parts, and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from trd.errors import DataError, TRDError
from trd.learning.learner import growing_recipe, learner
from trd.learning.record import FEWEST, FEWEST_GOOD, read_lesson
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
    """learner: the detector that would learn. hindrance: why it cannot, whatever the parts are; good_hindrance: why it
    cannot take in good parts. good: rejected parts that were judged good."""

    learner: AvailableDetector
    hindrance: str | None
    good_hindrance: str | None
    defects: tuple[Candidate, ...]
    good: tuple[Candidate, ...]

    @property
    def missing(self) -> int:
        """Defective parts that a lesson lacks."""
        return max(0, FEWEST - len(usable(self.defects)))

    @property
    def missing_good(self) -> int:
        """Good parts that a lesson lacks to take them in."""
        return max(0, FEWEST_GOOD - len(usable(self.good)))


def usable(candidates: Sequence[Candidate], left_out: Collection[int] = ()) -> list[Candidate]:
    """left_out: numbers of inspections."""
    return [candidate for candidate in candidates if candidate.reason is None and candidate.row["id"] not in left_out]


@dataclass(frozen=True)
class Wish:
    """What a lesson is to be made of. left_out: inspections that are not. defects: are taught; else they only judge
    the good parts. good: rejected good parts are taken in. sure: inspections of good parts that look like defects and
    are good, by whom asks."""

    left_out: frozenset[int] = frozenset()
    defects: bool = True
    good: bool = False
    sure: tuple[int, ...] = ()


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
        sources, known = tuple(version.facts.get("sources", ())), frozenset[str]()
        hindrance = good_hindrance = None
        try:
            facts, folder = learner(detector.path, self._teaching.data_of(detector.class_name, detector.name))
            sources, known = facts.recipe.inputs, digests_of_parts(folder)
        except TRDError as error:
            hindrance = str(error)
        else:
            try:
                growing_recipe(facts.recipe)
            except TRDError as error:
                good_hindrance = str(error)
        defects, good = self._judged.of_class(version.class_id, sources, known)
        return Proposal(detector, hindrance, good_hindrance, tuple(defects), tuple(good))

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
        known += [detector for detector in self._shelf.available().values() if detector.class_name == other.class_name]
        folders = [detector for detector in known if detector.detector == identity and not is_package(detector.path)]
        folders.sort(key=lambda detector: detector.calibration != version.calibration)
        return folders[0] if folders else other

    def ask(self, version: ModelVersion, wish: Wish, who: str) -> Job:
        """A job that teaches what people judged. Raises DataError where something is missing."""
        proposal = self.proposal(version)
        defects, good = usable(proposal.defects, wish.left_out), usable(proposal.good, wish.left_out)
        good = good if wish.good else []
        _check(proposal, wish, len(defects), len(good))
        if not wish.defects and len(defects) < FEWEST:
            defects = []  # too few to judge by
        detector = proposal.learner
        data = self._teaching.data_of(detector.class_name, detector.name)
        plan = LessonPlan(
            detector.name,
            str(detector.path),
            detector.detector,
            str(data) if data else None,
            camera_of([*defects, *good])[1],
            tuple(candidate.part for candidate in defects if candidate.part),
            tuple(candidate.part for candidate in good if candidate.part),
            wish.defects,
            tuple(candidate.row["id"] for candidate in good if candidate.row["id"] in wish.sure),
        )
        return self._teaching.learn(detector.class_name, who, plan)


def _check(proposal: Proposal, wish: Wish, defects: int, good: int) -> None:
    """defects, good: how many parts there are. Raises DataError."""
    if proposal.hindrance:
        raise DataError(proposal.hindrance)
    if not (wish.defects or wish.good):
        raise DataError("a lesson is of defects, of good parts or of both: ask for one of them")
    if wish.good and proposal.good_hindrance:
        raise DataError(proposal.good_hindrance)
    if wish.defects and defects < FEWEST:
        raise DataError(
            f"{defects} defective parts can be taught, at least {FEWEST} are needed: judge more, best with a mark of "
            "the place"
        )
    if wish.good and good < FEWEST_GOOD:
        raise DataError(
            f"{good} rejected good parts can be taken in, at least {FEWEST_GOOD} are needed: judge more of those that "
            "were rejected"
        )
