"""Lessons, as docs/station-api.md tells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from trd.errors import DataError
from trd.learning.record import FEWEST, FEWEST_GOOD
from trd_station import times
from trd_station.lessons.gain import Comparison
from trd_station.lessons.lessons import Gain, Lesson, Lessons
from trd_station.lessons.parts import Candidate
from trd_station.lessons.proposals import Proposal, usable
from trd_station.lessons.service import Service
from trd_station.serialization import Serializer
from trd_station.teaching.jobs import ENDED
from trd_station.teaching.lesson import TaughtPart
from trd_station.teaching.queue import JobQueue
from trd_station.teaching.serialization import job_json

Use = Literal["taught", "judges", "good"]


def proposal_json(serializer: Serializer, proposal: Proposal) -> dict[str, Any]:
    defects = [candidate.part for candidate in usable(proposal.defects) if candidate.part]
    return {
        "learner": proposal.learner.name,
        "hindrance": proposal.hindrance,
        "needed": FEWEST,
        "missing": proposal.missing,
        "kinds": _kinds(defects),
        "parts": [_candidate_json(serializer, candidate) for candidate in proposal.defects],
        "good": {
            "hindrance": proposal.good_hindrance,
            "needed": FEWEST_GOOD,
            "missing": proposal.missing_good,
            "parts": [_candidate_json(serializer, candidate) for candidate in proposal.good],
        },
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
        plan = lesson.plan
        learner, taught, parts = plan.model, plan.taught, (*plan.defects, *plan.good)
        judging = len(plan.defects) - len(taught)
    except DataError:  # its file is damaged; what came of it is known all the same
        learner, taught, parts = str(lesson.job.asked["model"]), (), ()
        judging = 0
    result = lesson.job.result or {}
    gain = lessons.gain(lesson)
    return {
        "job": job_json(queue, lesson.job),
        "state": lesson.state,
        "learner": learner,
        "detector": result.get("detector"),
        "models": list(lesson.models),
        "kinds": _kinds(taught),
        "good_parts": lesson.job.asked.get("good", 0),
        "judging": judging,
        "sure": lesson.job.asked.get("sure", 0),
        "judgement": result.get("judgement"),
        "good_judgement": result.get("good_judgement"),
        **{
            name: [{"id": part.id, "part": part.part} for part in parts if part.id in result.get(name, ())]
            for name in ("unseen", "above", "doubtful")
        },
        "service": _service_json(lesson.service) if lesson.service else None,
        "gain": _gain_json(gain) if gain else None,
    }


def parts_json(lesson: Lesson) -> list[dict[str, Any]]:
    """Raises DataError."""
    places, plan = (lesson.job.result or {}).get("places", {}), lesson.plan
    defective: Use = "taught" if plan.teaches_defects else "judges"
    uses = [*((part, defective) for part in plan.defects), *((part, "good") for part in plan.good)]
    return [
        {
            "inspection": part.id,
            "part": part.part,
            "use": use,
            "verdict": part.verdict,
            "who": part.who,
            "kind": part.kind,
            "marked": part.mask is not None,
            "digest": part.digest,
            "places": places.get(str(part.id)),
        }
        for part, use in uses
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
