"""The job that makes a lesson: as `trd learn` on its parts, with what the judges said as JSON."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from trd.files import write_json
from trd.learning.record import LESSON, read_lesson
from trd.stored import FACTS
from trd_station.teaching.jobs import LEARNED, RUN, Job
from trd_station.teaching.lesson import GOOD, LessonPlan

if TYPE_CHECKING:
    from trd.learning.good_parts import GoodJudgement
    from trd.learning.judge import Judgement
    from trd.learning.learn import LessonJob


def lesson(job: Job, console: Console) -> dict[str, Any]:
    """Into the job's folder. An interrupted one begins anew."""
    from trd.learning.good_parts import GoodPartsRefused
    from trd.learning.labels import DoubtfulLabels
    from trd.learning.learn import LessonRefused, learn

    plan = LessonPlan.read(job)
    for name in (LEARNED, RUN):
        shutil.rmtree(job.folder / name, ignore_errors=True)
    try:
        learned = learn(_lesson_job(job, plan), console)
    except LessonRefused as refused:
        return _refused(refused.judgement, refused.good, refused.judgement.reasons)
    except GoodPartsRefused as refused:
        return _refused(None, refused.judgement, refused.judgement.reasons)
    except DoubtfulLabels as labels:
        return _asked(plan, _inspections(labels.names))
    doubtful = _doubtful(learned.folder)
    if not set(doubtful) <= set(plan.sure):  # others than those that somebody has looked at
        shutil.rmtree(job.folder / LEARNED)
        return _asked(plan, doubtful)
    _keep(job, plan, learned.folder)
    threshold = learned.facts.calibration.image_threshold
    return {
        "refused": False,
        "detector": learned.facts.id,
        "guaranteed_rate": threshold.guaranteed_rate,
        "promise": learned.facts.calibration.promise,
        "good_count": threshold.count,
        "reasons": [],
        "doubtful": [],
        **_judged(learned.judgement, learned.good),
    }


def _lesson_job(job: Job, plan: LessonPlan) -> LessonJob:
    from trd.data.defective import list_defective
    from trd.data.listing import list_unlabelled
    from trd.learning.learn import LessonJob
    from trd.packages.facts import facts_at

    path, recipe = Path(plan.path), facts_at(Path(plan.path)).recipe
    sources, clouds = recipe.inputs, recipe.point_cloud_sources
    defects = list_defective(job.parts, sources, clouds, masked=True) if plan.defects else ()
    return LessonJob(
        path,
        defects if plan.teaches_defects else (),
        job.folder / LEARNED,
        Path(plan.data) if plan.data else None,
        job.who,
        good=list_unlabelled(job.parts / GOOD, sources, clouds) if plan.good else (),
        must_find=() if plan.teaches_defects else defects,
        sure=bool(plan.sure),
    )


def _doubtful(folder: Path) -> list[int]:
    """Inspections of good parts that look like the defects, by the detector's record."""
    from trd.learning.labels import Likeness

    good = (read_lesson(folder) or {}).get("good", ())
    return _inspections(part["id"] for part in good if "likeness" in part and Likeness(**part["likeness"]).doubtful)


def _keep(job: Job, plan: LessonPlan, folder: Path) -> None:
    """Where a trained detector lies, under the station's name of the class, with the verdicts in its record."""
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    write_json(folder / FACTS, {**facts, "class_name": job.class_name})
    verdicts = [
        {"inspection": part.id, "verdict": part.verdict, "who": part.who, "files": part.digest}
        for part in (*plan.taught, *plan.good)
    ]
    sure = [{"inspection": number, "who": job.who} for number in plan.sure]
    write_json(folder / LESSON, {**(read_lesson(folder) or {}), "job": job.id, "verdicts": verdicts, "sure": sure})
    os.replace(folder, job.folder / RUN)
    shutil.rmtree(job.folder / LEARNED, ignore_errors=True)


def _refused(judgement: Judgement | None, good: GoodJudgement | None, reasons: Sequence[str]) -> dict[str, Any]:
    return {"refused": True, "detector": None, "reasons": list(reasons), "doubtful": [], **_judged(judgement, good)}


def _asked(plan: LessonPlan, doubtful: Sequence[int]) -> dict[str, Any]:
    reason = f"{len(doubtful)} of {len(plan.good)} good parts look like the labelled defects"
    return {**_refused(None, None, [reason]), "doubtful": list(doubtful)}


def _judged(judgement: Judgement | None, good: GoodJudgement | None) -> dict[str, Any]:
    """places: by inspections' ids, as text for JSON. unseen, above: inspections."""
    places = {**(judgement.scores if judgement else {}), **(good.places if good else {})}
    return {
        "judgement": None
        if judgement is None
        else {
            "defects": judgement.defects,
            "good": judgement.good,
            "before": asdict(judgement.before),
            "after": asdict(judgement.after),
            "gain": asdict(judgement.gain),
            "unlabelled": judgement.unlabelled,
            "reasons": list(judgement.reasons),
        },
        "good_judgement": None
        if good is None
        else {
            "good": good.good,
            "calibration": good.calibration,
            "defects": good.defects,
            "before": asdict(good.before),
            "after": asdict(good.after),
            "fall": asdict(good.fall),
            "auroc_change": None if good.auroc_change is None else asdict(good.auroc_change),
            "reasons": list(good.reasons),
        },
        "places": {str(_inspection(name)): list(both) for name, both in places.items()},
        "unseen": _inspections(judgement.unseen if judgement else ()),
        "above": _inspections(good.above if good else ()),
    }


def _inspection(name: str) -> int:
    """Of a part "KIND/STEM", or "STEM"."""
    return int(name.rpartition("/")[2])


def _inspections(names: Iterable[str]) -> list[int]:
    return [_inspection(name) for name in names]
