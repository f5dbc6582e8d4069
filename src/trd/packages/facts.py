"""What is known of a detector, be it a folder or a package, without making it ready; and another calibration for it."""

from __future__ import annotations

import json
from pathlib import Path

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


def digests_of_parts(path: Path) -> frozenset[str]:
    """Of the files that the detector was trained and calibrated on; empty where none are recorded."""
    if is_package(path):
        return frozenset(read_package(path).manifest.parts)
    try:
        record = json.loads((detector_folder(path) / RECORD).read_text("utf-8"))
        return frozenset(record["parts"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return frozenset()
