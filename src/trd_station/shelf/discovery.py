"""Detectors on disk, by name: those given at the start, and those in the station's folder `models`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trd.errors import CheckpointError
from trd.packages.facts import facts_at
from trd.packages.package import is_package
from trd.stored import FACTS, DetectorFacts, detector_folder
from trd_station.store.versions import ModelVersion

LONGEST = 200  # characters of a class's name
UPLOAD = ".upload"  # how the name of a package begins while it is received


@dataclass(frozen=True)
class AvailableDetector:
    """detector, calibration: their identities."""

    name: str
    path: Path
    class_name: str
    detector: str
    calibration: str


def detectors_at(argument: str) -> list[AvailableDetector]:
    """Those of a run folder, a detector's folder or a package; `NAME=PATH` names the class of a single one.

    Raises CheckpointError where there is none.
    """
    class_override, equals, rest = argument.partition("=")
    path = Path(rest if equals and not Path(argument).exists() else argument)
    class_override = class_override if equals and str(path) == rest else ""
    if is_package(path):
        facts = known_facts(path)
        class_name = checked_class_name(class_override or facts.class_name or path.stem, path)
        return [AvailableDetector(path.stem, path.resolve(), class_name, facts.id, facts.calibration.id)]
    folders = [path] if (path / FACTS).is_file() else sorted(p.parent for p in path.glob(f"*/{FACTS}"))
    if not folders:
        folders = [detector_folder(path)]  # says what is missing
    if class_override and len(folders) > 1:
        raise CheckpointError(f"{argument}: {path} holds {len(folders)} classes; give NAME=PATH for one of them")
    return [_detector_in(folder, class_override) for folder in folders]


def forget_uploads(models: Path) -> None:
    """Delete packages that a killed station was receiving: nobody but this one receives any there."""
    for path in models.glob(f"{UPLOAD}.trd-*"):
        path.unlink(missing_ok=True)


def stored_path(path: Path, data: Path) -> str:
    """As a model's row has it: relative where it lies in the station's folder, so that this can be moved."""
    data = data.resolve()
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else str(path)


def path_of(stored: str, data: Path) -> Path:
    """The path of a model's row; absolute."""
    return data.resolve() / stored


def detectors_of(rows: Iterable[ModelVersion], class_names: Mapping[int, str], data: Path) -> list[AvailableDetector]:
    """Those of models' rows that still lie where they lay."""
    candidates = []
    for row in rows:
        path = path_of(row.path, data)
        if is_package(path) if path.is_file() else (path / FACTS).is_file():
            names = row.name, path, class_names[row.class_id]
            candidates.append(AvailableDetector(*names, row.detector, row.calibration))
    return candidates


def known_facts(path: Path) -> DetectorFacts:
    """`facts_at`, of a package read once until it changes: it is unpacked and checked as a whole, and lists of models
    and old pictures ask for it often. Raises CheckpointError."""
    if not is_package(path) or not path.is_file():  # reading it says what is wrong
        return facts_at(path)
    written = path.stat()
    return _of_package(path, written.st_mtime_ns, written.st_size)


@functools.lru_cache(maxsize=64)
def _of_package(path: Path, _written: int, _size: int) -> DetectorFacts:
    return facts_at(path)


def _detector_in(folder: Path, class_override: str = "") -> AvailableDetector:
    facts = facts_at(folder)
    name = folder.resolve().name
    above = folder.resolve().parent
    if (above / "run.json").is_file():
        name = f"{above.name}/{name}"
    class_name = checked_class_name(class_override or facts.class_name or folder.resolve().name, folder)
    return AvailableDetector(name, folder.resolve(), class_name, facts.id, facts.calibration.id)


def checked_class_name(name: str, path: Path | str) -> str:
    """A name that can be a part of an address and a folder. Raises CheckpointError for another."""
    if name in (".", "..") or len(name) > LONGEST or not name.isprintable() or set(name) & set("/\\"):
        raise CheckpointError(
            f"{path}: '{name[:60]}' cannot be a class of the station: give NAME=PATH, NAME up to {LONGEST} printable "
            "characters without / and \\"
        )
    return name


def available_detectors(at_start: Iterable[AvailableDetector], models: Path) -> dict[str, AvailableDetector]:
    """By name; what cannot be read in `models` is left out. A name that is taken gets a number."""
    candidates: dict[str, AvailableDetector] = {}
    detectors = list(at_start)
    if models.is_dir():
        for path in sorted(models.iterdir()):
            try:
                detectors += detectors_at(str(path)) if not path.name.startswith(".") else []
            except CheckpointError:
                continue
    paths: set[Path] = set()
    for candidate in detectors:
        if candidate.path in paths:
            continue
        paths.add(candidate.path)
        name, number = candidate.name, 2
        while name in candidates:
            name, number = f"{candidate.name}-{number}", number + 1
        candidates[name] = replace(candidate, name=name)
    return candidates
