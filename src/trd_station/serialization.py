"""Rows of the database as docs/station-api.md tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trd.types import plain_sources
from trd_station import times
from trd_station.deciding import Flip, Limits, WhatIf
from trd_station.shelf import facts as model_facts
from trd_station.store import versions
from trd_station.store.database import Database
from trd_station.store.files import INPUT, MAPS, stored_files
from trd_station.store.schema import DECISIONS, ORIGINS
from trd_station.store.versions import ModelVersion, ThresholdVersion

Row = Mapping[str, Any]


class Serializer:
    """Knows classes, thresholds and models by their identifiers: what is in their rows never changes but for a model's
    state, which is not kept here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._classes: dict[int, str] = {}
        self._limits: dict[int, ThresholdVersion] = {}
        self._facts: dict[int, ModelVersion] = {}

    def class_name(self, class_id: int) -> str:
        if class_id not in self._classes:
            with self._database.reading() as connection:
                self._classes = versions.class_names(connection)
        return self._classes[class_id]

    def class_id(self, name: str) -> int | None:
        ids_by_name = {class_name: number for number, class_name in self._classes.items()}
        if name not in ids_by_name:
            with self._database.reading() as connection:
                self._classes = versions.class_names(connection)
            ids_by_name = {class_name: number for number, class_name in self._classes.items()}
        return ids_by_name.get(name)

    def threshold_of(self, threshold_id: int) -> ThresholdVersion:
        if threshold_id not in self._limits:
            with self._database.reading() as connection:
                version = versions.threshold_by_id(connection, threshold_id)
            assert version is not None  # rows refer to it, and it is never deleted
            self._limits[threshold_id] = version
        return self._limits[threshold_id]

    def model_of(self, model_id: int) -> ModelVersion:
        if model_id not in self._facts:
            with self._database.reading() as connection:
                version = versions.model_by_id(connection, model_id)
            assert version is not None
            self._facts[model_id] = version
        return self._facts[model_id]

    def inspection(self, row: Row) -> dict[str, Any]:
        limits, model = self.threshold_of(row["threshold_id"]).limits, self.model_of(row["model_id"])
        shape = None if row["height"] is None else (row["height"], row["width"])
        files = {} if row["pruned"] else stored_files({k: v for k, v in row["files"].items() if k != "day"})
        inputs = {
            role.removeprefix(INPUT): stored_file for role, stored_file in files.items() if role.startswith(INPUT)
        }
        sent = {name: stored_file.sent_as for name, stored_file in inputs.items() if name != "camera"}
        scored = row["score"] is not None
        usable = scored and set(model.facts["sources"]) <= set(sent)
        clouds = model.facts["clouds"]
        return {
            "id": row["id"],
            "class": self.class_name(row["class_id"]),
            "part": row["part"],
            "at": times.to_iso(row["at"]),
            "origin": ORIGINS[row["origin"]],
            "decision": DECISIONS[row["decision"]],
            "reason": row["reason"],
            "score": row["score"],
            "p_value": row["p_value"],
            "good_count": len(limits.good_scores),
            "review_above": limits.review_above,
            "reject_above": limits.reject_above,
            "share": row["share"],
            "peak": [row["peak_row"], row["peak_column"]] if scored else None,
            "region": row["region"],
            "kind_suggestion": row["kind_suggestion"],
            "pixel_threshold": row["pixel_threshold"],
            "notes": row["notes"] or [],
            "measures": row["measures"] or {},
            "model": row["model_id"],
            "detector": model.detector,
            "calibration": model.calibration,
            "threshold": row["threshold_id"],
            "sampled": row["sampled"],
            "queue": row["queue"],
            "verdict": row["verdict"],
            "verdict_kind": row["verdict_kind"],
            "frame": None if shape is None else {"height": shape[0], "width": shape[1]},
            "window": None if shape is None else model_facts.window_in(model.facts, shape),
            "maps": model_facts.maps(model.facts) if MAPS in files else [],
            "images": images_of(model) if usable else [],
            "inputs": sent,
            "has_cloud": usable and bool(clouds),
            "pruned": row["pruned"],
            "timings": row["timings"],
        }

    def threshold(self, version: ThresholdVersion) -> dict[str, Any]:
        limits = version.limits
        return {
            "id": version.id,
            "class": self.class_name(version.class_id),
            "model": version.model_id,
            "active": version.active,
            **_limits(limits),
            "from": version.made_from,
            "at": times.to_iso(version.at),
            "who": version.who,
            "reason": version.reason,
        }

    def model(self, version: ModelVersion, inspections: int) -> dict[str, Any]:
        facts = version.facts
        names = ("recipe", "evidence", "engine", "device", "precision")
        rates = ("false_alarm_rate", "guaranteed_rate", "promise", "good_count")
        return {
            "id": version.id,
            "class": self.class_name(version.class_id),
            "name": version.name,
            "state": version.state,
            "error": version.error,
            "detector": version.detector,
            "calibration": version.calibration,
            **{name: facts.get(name) for name in (*names, *rates)},
            "ranges": facts.get("ranges", {}),
            "self_test": version.self_test,
            "at": times.to_iso(version.at) if version.at else None,
            "who": version.who,
            "inspections": inspections,
        }

    def event(self, row: Row) -> dict[str, Any]:
        return {
            "id": row["id"],
            "at": times.to_iso(row["at"]),
            "class": None if row["class_id"] is None else self.class_name(row["class_id"]),
            "level": row["level"],
            "kind": row["kind"],
            "text": row["text"],
            "data": row["data"],
            "acknowledged_by": row["acknowledged_by"],
            "acknowledged_at": times.to_iso_or_none(row["acknowledged_at"]),
            "cause": row["cause"],
        }


def images_of(model: ModelVersion) -> list[str]:
    """Names of the pictures of a part: sources, and modalities that are not one themselves."""
    return list(dict.fromkeys([*plain_sources(model.facts["sources"]), *model.facts["modalities"]]))


def verdict(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "inspection": row["inspection_id"],
        "verdict": row["verdict"],
        "kind": row["kind"],
        "reason": row["reason"],
        "who": row["who"],
        "at": times.to_iso(row["at"]),
        "has_mask": row["mask"] is not None,
    }


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "review_above": limits.review_above,
        "reject_above": limits.reject_above,
        "review_rate": limits.review_rate,
        "reject_rate": limits.reject_rate,
        "promise": limits.promise,
        "good_count": len(limits.good_scores),
    }


def what_if(outcome: WhatIf, parts: Mapping[int, str], compute_ms: float) -> dict[str, Any]:
    """parts: identifier of an inspection -> what the part is called."""
    limits = outcome.limits
    return {
        **_limits(limits),
        "parts": outcome.parts,
        "now": outcome.now,
        "then": outcome.then,
        "changes": [
            {"from": before, "to": after, "count": count} for (before, after), count in outcome.changes.items()
        ],
        "verdicts": outcome.verdicts,
        "flips": [_flip(flip, parts) for flip in outcome.flips],
        "changed": [_flip(flip, parts) for flip in outcome.changed],
        "compute_ms": round(compute_ms, 2),
    }


def _flip(flip: Flip, parts: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": flip.part.id,
        "part": parts[flip.part.id],
        "score": flip.part.score,
        "verdict": flip.part.verdict,
        "from": flip.before,
        "to": flip.after,
    }
