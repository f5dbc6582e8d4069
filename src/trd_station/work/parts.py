"""The steps of one part: read and prepare, score, and make its row and its files."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trd.detector import Detector, ScoredSample, checked
from trd.errors import TRDError
from trd.preprocess.measures import measures_of
from trd.types import PreparedSample
from trd_station import times
from trd_station.reading import Inputs
from trd_station.settings import KeepInputs
from trd_station.shelf.shelf import Serving
from trd_station.store.files import INPUT, MAPS, Files, StoredFile
from trd_station.store.schema import DECISIONS
from trd_station.work.jobs import Job, Stored

INVALID = DECISIONS.index("invalid")
NOT_SCORED = (
    *("score", "p_value", "peak_row", "peak_column", "region", "pixel_threshold", "share", "notes", "height", "width"),
    *("verdict", "verdict_kind", "kind_suggestion"),
)

log = logging.getLogger("trd")


@dataclass(frozen=True)
class Part:
    """A job on its way: what serves it, and what is known of it so far. fault: why it cannot be scored.

    timings: milliseconds by step, as they become known.
    """

    job: Job
    serving: Serving
    timings: dict[str, float]
    prepared: PreparedSample | None = None
    measures: dict[str, float] = field(default_factory=dict)
    scored: ScoredSample | None = None
    fault: str = ""


def prepare(job: Job, serving: Serving) -> Part:
    """Read and prepare; a part that cannot be used has a `fault`."""
    begin = time.monotonic()
    timings = {"wait_ms": _ms(begin - job.received)}
    part = Part(job, serving, timings)
    detector = serving.detector
    try:
        sample = inputs_of(job, detector).sample(job.part)
        read = time.monotonic()
        prepared = detector.pipeline(checked(sample, detector.recipe))
        measures = measures_of(detector.recipe, detector.facts.frame, sample, prepared)
        timings |= {"decode_ms": _ms(read - begin), "prepare_ms": _ms(time.monotonic() - read)}
        return replace(part, prepared=prepared, measures=measures)
    except TRDError as error:
        return replace(part, fault=as_sent(str(error), job))
    except Exception as error:  # a fault of ours or of a library must not stop the line
        log.exception("part %s could not be prepared", job.part)
        return replace(part, fault=f"unexpected {type(error).__name__} while the part was prepared")


def inputs_of(job: Job, detector: Detector) -> Inputs:
    return Inputs(job.sources, detector.recipe.cloud_inputs, detector.facts.camera, job.camera)


def score(parts: Sequence[Part], batch: int) -> list[Part]:
    """Of one model's prepared parts, in batches of `batch`; one that cannot be scored fails alone."""
    detector = parts[0].serving.detector
    begin = time.monotonic()
    scored: list[Part] = []
    try:
        samples = [part.prepared for part in parts if part.prepared is not None]
        results = list(detector.score(samples, batch))
        took = _ms((time.monotonic() - begin) / len(parts))
        for part, result in zip(parts, results, strict=True):
            part.timings["model_ms"] = took
            scored.append(replace(part, scored=result))
        return scored
    except Exception as error:
        if len(parts) > 1:
            return [scored_part for part in parts for scored_part in score([part], 1)]
        if not isinstance(error, TRDError):
            log.exception("part %s could not be scored", parts[0].job.part)
        reason = str(error) if isinstance(error, TRDError) else f"the model failed: {type(error).__name__}: {error}"
        return [replace(parts[0], fault=reason[:500])]


def finished(part: Part, files: Files, keep: KeepInputs) -> Stored:
    """The part's row; its files are in their places and on the disk. Raises OutputError; then none of them is."""
    begin, job, serving = time.monotonic(), part.job, part.serving
    row: dict[str, Any] = {
        **dict.fromkeys(NOT_SCORED),
        "uid": job.uid,
        "class_id": serving.version.class_id,
        "part": job.part,
        "origin": job.origin,
        "decision": INVALID,
        "reason": part.fault or None,
        "model_id": serving.version.id,
        "threshold_id": serving.threshold.id,
        "sampled": job.sampled,
        "queue": None,
        "measures": {name: _short(value) for name, value in part.measures.items()} or None,
        "pruned": False,
    }
    stored_files: list[StoredFile] = []
    day = times.day_of(times.now())
    try:
        if part.scored is not None and not part.fault:
            row |= _decided(part, part.scored)
            stored_files.append(files.write(day, job.uid, MAPS, ".npy", _maps(part.scored, serving)))
        if keep == "all" or (keep == "flagged" and (row["decision"] != 0 or job.sampled)):
            for source, path in job.sources.items():
                stored_files.append(files.adopt(day, job.uid, INPUT + source, job.sent_as[source], path))
            if job.camera is not None:
                stored_files.append(files.adopt(day, job.uid, INPUT + "camera", "camera.json", job.camera))
            files.names_to_disk(day)
    except BaseException:
        files.delete(day, job.uid, {stored_file.role: stored_file.to_json() for stored_file in stored_files})
        raise
    files.delete_incoming(job.uid)
    row["files"] = {"day": day, **{stored_file.role: stored_file.to_json() for stored_file in stored_files}}
    row["bytes"] = sum(stored_file.size for stored_file in stored_files)
    part.timings["store_ms"] = _ms(time.monotonic() - begin)
    part.timings["total_ms"] = _ms(time.monotonic() - job.received)
    row["timings"] = part.timings
    return row


def _decided(part: Part, scored: ScoredSample) -> dict[str, Any]:
    limits = part.serving.threshold.limits
    detector = part.serving.detector
    peak, decision = detector.peak(scored), limits.decision(scored.score)
    queue = "review" if decision == "review" else "audit" if part.job.sampled else None
    height, width = scored.sample.shape
    kind = None if decision == "ok" else _kind_suggestion(part, scored)
    return {
        "decision": DECISIONS.index(decision),
        "queue": queue,
        "score": scored.score,
        "p_value": limits.p_value(scored.score),
        "peak_row": peak.row,
        "peak_column": peak.column,
        "region": peak.region,
        "pixel_threshold": detector.calibration.pixel_threshold.value,
        "share": {name: round(share, 4) for name, share in peak.share.items()},
        "kind_suggestion": kind,
        "notes": [*scored.sample.notes, *detector.doubts] or None,
        "height": height,
        "width": width,
    }


def _kind_suggestion(part: Part, scored: ScoredSample) -> dict[str, Any] | None:
    """None also where it fails: it decides nothing, and the part has its decision."""
    try:
        kind = part.serving.detector.kind(scored)
    except Exception:
        log.exception("no kind of defect could be suggested for part %s", part.job.part)
        return None
    if kind is None:
        return None
    return {"kind": kind.kind, "likeness": {name: round(value, 4) for name, value in kind.likeness.items()}}


def _maps(scored: ScoredSample, serving: Serving) -> bytes:
    """The fused map and those of the branches at the network's size, in the order of the model's facts."""
    names = [name for name in serving.version.facts["floors"] if name != "fused"]
    data = io.BytesIO()
    np.save(data, np.stack([scored.fused, *(scored.branch_maps[name] for name in names)]).astype("<f4"))
    return data.getvalue()


def as_sent(message: str, job: Job) -> str:
    """A reader's message about files as their sender knows them: no path of this machine."""
    for source, path in job.sources.items():
        message = message.replace(str(path), job.sent_as[source])
    if job.camera is not None:
        message = message.replace(str(job.camera), "camera.json")
    return message.replace(f"{job.folder}/", "").replace(str(job.folder), "the upload")


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 2)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
