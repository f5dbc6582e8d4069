"""Lessons, as docs/station-api.md tells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from trd.errors import DataError
from trd.learning.record import FEWEST
from trd_station import times
from trd_station.lessons.gain import Comparison
from trd_station.lessons.lessons import Gain, Lesson, Lessons
from trd_station.lessons.parts import Candidate
from trd_station.lessons.proposals import Proposal
from trd_station.lessons.service import Service
from trd_station.serialization import Serializer
from trd_station.teaching.jobs import ENDED
from trd_station.teaching.lesson import TaughtPart
from trd_station.teaching.queue import JobQueue
from trd_station.teaching.serialization import job_json

JUDGED = ("defects", "good", "before", "after", "gain", "unlabelled", "reasons")


def proposal_json(serializer: Serializer, proposal: Proposal) -> dict[str, Any]:
    usable = [candidate.part for candidate in proposal.usable if candidate.part]
    return {
        "learner": proposal.learner.name,
        "hindrance": proposal.hindrance,
        "needed": FEWEST,
        "missing": proposal.missing,
        "kinds": _kinds(usable),
        "wrongly_rejected": sum(candidate.reason is None for candidate in proposal.wrongly_rejected),
        "parts": [_candidate_json(serializer, candidate) for candidate in proposal.candidates],
    }


def _candidate_json(serializer: Serializer, candidate: Candidate) -> dict[str, Any]:
    return {
        "inspection": serializer.inspection(candidate.row),
        "verdict": candidate.verdict["id"],
        "who": candidate.verdict["who"],
        "kind": candidate.row["verdict_kind"],
        "marked": candidate.part is not None and candidate.part.mask is not None,
        "reason": candidate.reason,
    }


def _kinds(parts: Iterable[TaughtPart]) -> list[dict[str, Any]]:
    """Most frequent first."""
    parts = list(parts)
    marked = Counter(part.kind for part in parts if part.mask)
    counts = Counter(part.kind for part in parts)
    return [{"kind": kind, "parts": count, "marked": marked[kind]} for kind, count in counts.most_common()]


def lesson_json(lessons: Lessons, queue: JobQueue, lesson: Lesson) -> dict[str, Any]:
    try:
        learner, taught = lesson.plan.model, lesson.plan.defects
    except DataError:  # its file is damaged; what came of it is known all the same
        learner, taught = str(lesson.job.asked["model"]), ()
    result = lesson.job.result
    unseen = set(result["unseen"]) if result else set[int]()
    gain = lessons.gain(lesson)
    return {
        "job": job_json(queue, lesson.job),
        "state": lesson.state,
        "learner": learner,
        "detector": result["detector"] if result else None,
        "models": list(lesson.models),
        "kinds": _kinds(taught),
        "judgement": {name: result[name] for name in JUDGED} if result else None,
        "unseen": [{"id": part.id, "part": part.part} for part in taught if part.id in unseen],
        "service": _service_json(lesson.service) if lesson.service else None,
        "gain": _gain_json(gain) if gain else None,
    }


def parts_json(lesson: Lesson) -> list[dict[str, Any]]:
    """Raises DataError."""
    places = (lesson.job.result or {}).get("places", {})
    return [
        {
            "inspection": part.id,
            "part": part.part,
            "verdict": part.verdict,
            "who": part.who,
            "kind": part.kind,
            "marked": part.mask is not None,
            "digest": part.digest,
            "places": places.get(str(part.id)),
        }
        for part in lesson.plan.defects
    ]


def _service_json(service: Service) -> dict[str, Any]:
    return {
        "since": times.to_iso(service.since),
        "until": times.to_iso_or_none(service.until),
        "before": service.before,
        "after": service.after,
        "who": service.who or None,
        "reason": service.reason or None,
    }


def _gain_json(gain: Gain) -> dict[str, Any]:
    done = next((job for job in gain.trials if job.state == "done"), None)
    scoring = next((job for job in gain.trials if job.state not in ENDED), None)
    return {
        "audited": gain.audited,
        "over_time": _comparison_json(gain.over_time),
        "both": _comparison_json(gain.both) if gain.both else None,
        "trial": done.id if done else None,
        "scoring": scoring.id if scoring else None,
    }


def _comparison_json(compared: Comparison) -> dict[str, Any]:
    shares = {
        name: {"before": before.to_json(), "lesson": lesson.to_json()}
        for name, (before, lesson) in compared.shares.items()
    }
    return {**shares, "worse": list(compared.worse)}
