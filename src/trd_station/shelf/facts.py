"""What answers need of a detector long after it was taken out of memory, as JSON in its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trd.detector import Detector
from trd.preprocess.view_frames import AnyFrame, frame_from_json
from trd_station.reading import suffixes


def facts_of(detector: Detector) -> dict[str, Any]:
    recipe, frame, calibration = detector.recipe, detector.facts.frame, detector.calibration
    threshold, ranges = calibration.image_threshold, detector.facts.ranges
    return {
        "recipe": recipe.name,
        "evidence": list(recipe.evidence),
        "engine": detector.engine.form,
        "device": str(detector.engine.device),
        "precision": detector.engine.precision,
        "sources": list(recipe.inputs),
        "clouds": list(recipe.cloud_inputs),
        "modalities": {name: modality.source for name, modality in recipe.modalities.items()},
        "frame": frame.to_json(),
        "floors": {"fused": calibration.fused_floor, **calibration.floors},
        "pixel_threshold": calibration.pixel_threshold.value,
        "false_alarm_rate": threshold.requested_rate,
        "guaranteed_rate": threshold.guaranteed_rate,
        "promise": calibration.promise,
        "good_count": threshold.count,
        "ranges": ranges.described() if ranges else {},
        "range_values": {name: list(ends) for name, ends in ranges.values.items()} if ranges else {},
    }


def branches(facts: Mapping[str, Any]) -> list[str]:
    """Maps besides the fused one."""
    return [name for name in facts["floors"] if name != "fused"]


def maps(facts: Mapping[str, Any]) -> list[str]:
    """In the order in which they lie in an inspection's file of maps."""
    return ["fused", *branches(facts)]


def frame(facts: Mapping[str, Any]) -> AnyFrame:
    return frame_from_json(facts["frame"])


def sources(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As docs/station-api.md tells them."""
    return [
        {
            "name": name,
            "kind": "cloud" if name in facts["clouds"] else "image",
            "suffixes": list(suffixes(name in facts["clouds"])),
        }
        for name in facts["sources"]
    ]


def window_in(facts: Mapping[str, Any], shape: tuple[int, int]) -> dict[str, int]:
    """The window in a (height, width) frame."""
    rows, columns = frame(facts).window_in(shape)
    return {
        "top": rows.start,
        "left": columns.start,
        "height": rows.stop - rows.start,
        "width": columns.stop - columns.start,
    }
