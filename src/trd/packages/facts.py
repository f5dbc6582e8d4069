"""What is known of a detector, be it a folder or a package, without making it ready; and another calibration for it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from trd.decision.calibration import Calibration
from trd.errors import CheckpointError
from trd.packages.package import is_package, read_package, write_package
from trd.stored import DetectorFacts, detector_folder, read_facts, save_calibration

RECORD = "training.json"


def facts_at(path: Path) -> DetectorFacts:
    """Of a package, a detector's folder, or a run folder with one class. Raises CheckpointError."""
    if is_package(path):
        return read_package(path).facts
    return read_facts(detector_folder(path))[0]


def keep_calibration(path: Path, facts: DetectorFacts) -> None:
    """Put the facts' calibration in the place of the one at `path`, which is kept beside it.

    Raises CheckpointError where another detector is there by now, and OutputError.
    """
    if not is_package(path):
        save_calibration(detector_folder(path), facts)
        return
    package = read_package(path)
    if package.facts.id != facts.id:
        raise CheckpointError(f"{path} holds another detector by now ({package.facts.id}, not {facts.id})")
    write_package(path, package.calibrated(facts))


def earlier_calibrations(path: Path) -> dict[str, Calibration]:
    """id -> what was the calibration at `path` before a `trd calibrate`. Those of another version are left out."""
    if is_package(path):
        contents = read_package(path).contents
        texts = [contents[name] for name in sorted(contents) if name.startswith("calibrations/")]
    else:
        texts = [file.read_bytes() for file in sorted((detector_folder(path) / "calibrations").glob("*.json"))]
    calibrations = {}
    for text in texts:
        with suppress(ValueError):
            calibration = Calibration.from_json(json.loads(text))
            calibrations[calibration.id] = calibration
    return calibrations


def earlier_calibration(path: Path, calibration_id: str) -> Calibration:
    """Raises CheckpointError naming those that there are."""
    calibrations = earlier_calibrations(path)
    if calibration_id not in calibrations:
        remedy = f"there are {', '.join(calibrations)}" if calibrations else "it was never calibrated anew"
        raise CheckpointError(f"{path} keeps no earlier calibration '{calibration_id}': {remedy}")
    return calibrations[calibration_id]


def digests_of_parts(path: Path) -> frozenset[str]:
    """Of the files that the detector was trained and calibrated on; empty where none are recorded."""
    if is_package(path):
        return frozenset(read_package(path).manifest.parts)
    try:
        record = json.loads((detector_folder(path) / RECORD).read_text("utf-8"))
        return frozenset(record["parts"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return frozenset()
