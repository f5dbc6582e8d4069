"""Parts that a lesson can be made of, and why it cannot take others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from trd.training.digests import part_digests
from trd.types import UNLABELLED, SampleFiles
from trd_station.store import history, verdicts
from trd_station.store.database import Database
from trd_station.store.files import Files
from trd_station.store.filters import Filters
from trd_station.store.schema import DECISIONS
from trd_station.stored_parts import StoredParts
from trd_station.teaching.lesson import TaughtPart

MOST = 200  # of each verdict, the newest
REJECT = DECISIONS.index("reject")

Reason = Literal["files", "unreadable", "known", "defect", "copy", "camera"]
"""Why a part is left out: its files were not kept; it has no score; the detector was trained on it; its files were
judged defective too; a newer part has the same files; it was sent with another camera.json than most."""


@dataclass(frozen=True)
class Candidate:
    """row: of the inspection. part: None where its files are not there. camera: the file that was sent with it."""

    row: Mapping[str, Any]
    verdict: Mapping[str, Any]
    part: TaughtPart | None
    camera: str | None
    reason: Reason | None


class JudgedParts:
    """What people judged, as lessons take it."""

    def __init__(self, database: Database, files: Files, stored: StoredParts) -> None:
        self._database, self._files, self._stored = database, files, stored

    def of_class(
        self, class_id: int, sources: Sequence[str], known: Collection[str]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Parts with the verdict defect, and rejected parts with the verdict good, newest first.

        sources: that the detector needs. known: digests of parts that it was trained on. Raises DataError where a file
        cannot be read.
        """
        defects = _once(self._candidates(Filters((class_id,), verdicts=("defect",)), sources), known)
        defective = {candidate.part.digest for candidate in defects if candidate.part}
        rejected = Filters((class_id,), decisions=(REJECT,), verdicts=("good",))
        good = _once(self._candidates(rejected, sources), known, defective)
        both = _same_camera([*defects, *good])
        return both[: len(defects)], both[len(defects) :]

    def _candidates(self, filters: Filters, sources: Sequence[str]) -> list[Candidate]:
        with self._database.reading() as connection:
            rows, _ = history.page(connection, filters, None, MOST)
            given = verdicts.verdicts_of(connection, [row["id"] for row in rows])
        latest = {verdict["inspection_id"]: verdict for verdict in given}
        return [self._candidate(row, latest[row["id"]], sources) for row in rows]

    def _candidate(self, row: Mapping[str, Any], verdict: Mapping[str, Any], sources: Sequence[str]) -> Candidate:
        inputs = self._stored.inputs(row)
        paths = {name: inputs.sources[name] for name in sources if name in inputs.sources}
        if len(paths) < len(sources) or not all(path.is_file() for path in paths.values()):
            return Candidate(row, verdict, None, None, "files")
        camera = str(inputs.camera_file) if inputs.camera_file else None
        if row["score"] is None:
            return Candidate(row, verdict, None, camera, "unreadable")
        mask = self._files.root / verdict["mask"] if verdict["mask"] else None
        part = TaughtPart(
            id=row["id"],
            part=row["part"],
            verdict=verdict["id"],
            who=verdict["who"],
            kind=row["verdict_kind"],
            frame=(row["height"], row["width"]),
            sources={name: str(path) for name, path in paths.items()},
            mask=str(mask) if mask is not None and mask.is_file() else None,
            digest=part_digests([SampleFiles(str(row["id"]), "predict", UNLABELLED, paths)])[str(row["id"])],
        )
        return Candidate(row, verdict, part, camera, None)


def _once(candidates: Sequence[Candidate], known: Collection[str], defective: Collection[str] = ()) -> list[Candidate]:
    """defective: digests of parts that were judged defective, where these were judged good."""
    seen, marked = set[str](), list[Candidate]()
    for candidate in candidates:
        digest = candidate.part.digest if candidate.part else None
        reason = candidate.reason
        if digest is not None:
            reason = "known" if digest in known else "defect" if digest in defective else reason
            reason = "copy" if reason is None and digest in seen else reason
            seen.add(digest)
        marked.append(replace(candidate, reason=reason))
    return marked


def _same_camera(candidates: Sequence[Candidate]) -> list[Candidate]:
    """A lesson reads all parts by one camera.json."""
    usual = camera_of(candidates)
    return [
        replace(candidate, reason="camera")
        if candidate.reason is None and _camera_digest(candidate) != usual[0]
        else candidate
        for candidate in candidates
    ]


def camera_of(candidates: Sequence[Candidate]) -> tuple[str | None, str | None]:
    """Digest and file of the camera.json that most usable parts were sent with; None for none."""
    usable = [candidate for candidate in candidates if candidate.reason is None]
    counts = Counter(_camera_digest(candidate) for candidate in usable)
    digest = counts.most_common(1)[0][0] if counts else None
    return digest, next((candidate.camera for candidate in usable if _camera_digest(candidate) == digest), None)


def _camera_digest(candidate: Candidate) -> str | None:
    stored = candidate.row["files"].get("in.camera")
    return stored[0] if stored else None
