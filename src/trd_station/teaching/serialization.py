"""Classes that are taught, and their jobs, as docs/station-api.md tells them."""

from __future__ import annotations

from typing import Any

from trd.errors import DataError
from trd_station import times
from trd_station.teaching.jobs import Job
from trd_station.teaching.queue import JobQueue
from trd_station.teaching.rates import RECOMMENDED, first_detector, missing_parts, parts_needed, promised_rate
from trd_station.teaching.settings import CAMERA, FIRST, NETWORK, shipped
from trd_station.teaching.teaching import TaughtClass


def job_json(queue: JobQueue, job: Job) -> dict[str, Any]:
    stage = queue.stage(job)
    return {
        "id": job.id,
        "class": job.class_name,
        "kind": job.kind,
        "state": job.state,
        "recipe": job.recipe_name or None,
        "asked": dict(job.asked),
        "ahead": queue.ahead(job) if job.state == "waiting" else 0,
        "stage": stage.to_json() if stage and job.state == "running" else None,
        "error": job.error,
        "model": job.model,
        "at": times.to_iso(job.at),
        "begun": times.to_iso_or_none(job.begun),
        "ended": times.to_iso_or_none(job.ended),
        "who": job.who,
    }


def class_json(taught: TaughtClass, queue: JobQueue, is_served: bool) -> dict[str, Any]:
    settings, collection = taught.settings, taught.collection
    parts, recipe = collection.parts(), first_detector(settings)
    frame, unreadable = None, None
    if parts:
        try:
            height, width = collection.shape(next(iter(parts.values())))
            frame = {"height": height, "width": width}
        except DataError as error:  # it was put there by hand, or has changed
            unreadable = str(error)
    jobs = queue.jobs(settings.name)
    return {
        "name": settings.name,
        "layout": settings.layout,
        "sources": [
            {
                "name": source,
                "kind": "cloud" if source in settings.clouds else "image",
                "suffixes": list(settings.suffixes(source)),
            }
            for source in settings.sources
        ],
        "folder": str(collection.parts_folder),
        "drop": str(taught.drop.path),
        "parts": len(parts),
        "needed": parts_needed(recipe),
        "recommended": RECOMMENDED,
        "promised_rate": promised_rate(recipe, len(parts)) if parts else None,
        "frame": frame,
        "has_camera": (collection.parts_folder / CAMERA).is_file(),
        "inspect": [[list(point) for point in polygon] for polygon in settings.inspect],
        "ignore": [[list(point) for point in polygon] for polygon in settings.ignore],
        "recipes": [{"name": name, "description": shipped(name).description} for name in settings.recipes()],
        "first": FIRST[settings.layout],
        "network": NETWORK[settings.layout],
        "served": is_served,
        "missing": {
            "train": unreadable or missing_parts(len(parts)),
            "switch": None if any(job.model for job in jobs) else "no trained detector yet",
            "trial": None if is_served else "no model serves this class yet",
        },
        "jobs": [job_json(queue, job) for job in jobs],
    }
