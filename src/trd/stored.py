"""A detector's folder: weights, recipe and everything else; no pickle.

weights.safetensors   what the evidence learned, with the id of the training
recipe.toml           every number of the recipe, the class's overrides applied
detector.json         id, class, frame, camera, calibration; written last: its presence means that all is there
calibrations/ID.json  what was the calibration before `trd calibrate`
without/SOURCE/       the same files of a detector that does without that sensor (`scoring.stand_ins`)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from trd.config import Recipe, recipe_from_toml
from trd.decision.calibration import Calibration
from trd.decision.kinds import KnownKinds
from trd.errors import CheckpointError
from trd.files import write_json, write_text, write_whole
from trd.preprocess.part_finder import PartFinder
from trd.preprocess.ranges import TrainingRanges
from trd.preprocess.view_frames import AnyFrame, frame_from_json
from trd.types import Camera, State

FORMAT_VERSION = 3
WEIGHTS, RECIPE, FACTS = "weights.safetensors", "recipe.toml", "detector.json"
WITHOUT = "without"


@dataclass(frozen=True)
class DetectorFacts:
    """All of a detector but what its evidence learned.

    recipe: of its class. id: of the training, 16 hexadecimal digits of recipe and weights. ranges: of the training
    parts, with which new ones are compared. camera: of the training data's depth images, with which new ones are read.
    without: of a stand-in, the source that it does without. finder: of one without the cloud that tells where the part
    is. stand_ins: source -> id of the detector that does without it. kinds: of the defects that it was taught.
    """

    recipe: Recipe
    frame: AnyFrame
    calibration: Calibration
    ranges: TrainingRanges | None = None
    class_name: str = ""
    camera: Camera | None = None
    id: str = ""
    without: str = ""
    finder: PartFinder | None = None
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    kinds: KnownKinds | None = None


def save_detector(folder: Path, facts: DetectorFacts, state: State) -> DetectorFacts:
    """Write all files; the facts come back with their id. Raises OutputError."""
    text = facts.recipe.to_toml()
    facts = replace(facts, id=_identity(text, state))
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    metadata = {"id": facts.id}  # one entry: the library writes several in random order, and files shall repeat
    (folder / FACTS).unlink(missing_ok=True)  # from here until it is written again the detector is not complete
    write_whole(folder / WEIGHTS, lambda path: save_file(arrays, path, metadata))
    write_text(folder / RECIPE, text)
    _write_facts(folder, facts, text)
    return facts


def save_calibration(folder: Path, facts: DetectorFacts) -> None:
    """Put the facts' calibration in the place of the stored one, which is kept in calibrations/. Raises OutputError."""
    before, _ = read_facts(folder)
    if before.id != facts.id:
        raise CheckpointError(
            f"{folder} holds another detector by now ({before.id}, not {facts.id}): calibrate that one anew"
        )
    write_json(folder / "calibrations" / f"{before.calibration.id}.json", before.calibration.to_json())
    _write_facts(folder, facts, (folder / RECIPE).read_text("utf-8"))


def _write_facts(folder: Path, facts: DetectorFacts, recipe_text: str) -> None:
    write_json(folder / FACTS, facts_content(facts, recipe_text))


def facts_content(facts: DetectorFacts, recipe_text: str) -> dict[str, Any]:
    """What detector.json holds."""
    return {
        "format_version": FORMAT_VERSION,
        "id": facts.id,
        "recipe_fingerprint": _fingerprint(recipe_text),
        "class_name": facts.class_name,
        "camera": None if facts.camera is None else asdict(facts.camera),
        "frame": facts.frame.to_json(),
        "ranges": None if facts.ranges is None else facts.ranges.to_json(),
        "calibration": facts.calibration.to_json(),
        **({"without": facts.without} if facts.without else {}),
        **({"finder": facts.finder.to_json()} if facts.finder else {}),
        **({"stand_ins": dict(facts.stand_ins)} if facts.stand_ins else {}),
        **({"kinds": facts.kinds.to_json()} if facts.kinds else {}),
    }


def read_detector(path: Path) -> tuple[DetectorFacts, State]:
    """From a detector's folder, or a run folder that holds one class.

    Raises CheckpointError naming the file and the remedy when something is missing, damaged, from another training, or
    from a newer version.
    """
    folder = detector_folder(path)
    facts, content = read_facts(folder)
    state = _read_weights(folder / WEIGHTS, content)
    if _identity((folder / RECIPE).read_text("utf-8"), state) != facts.id:
        raise CheckpointError(
            f"{folder / WEIGHTS} is damaged: its content is not what was saved; restore the file or train again"
        )
    return facts, state


def read_facts(folder: Path) -> tuple[DetectorFacts, dict[str, Any]]:
    """The facts of a detector's folder and detector.json as it stands. Raises CheckpointError."""
    content = _read_json(folder / FACTS)
    try:
        text = (folder / RECIPE).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {folder / RECIPE}: {error}") from error
    return facts_from(content, text, folder), content


def facts_from(content: Mapping[str, Any], recipe_text: str, where: Path) -> DetectorFacts:
    """Of detector.json's content and recipe.toml's text, both in `where`. Raises CheckpointError."""
    if content.get("recipe_fingerprint") != _fingerprint(recipe_text):
        raise CheckpointError(
            f"{where / RECIPE} and {FACTS} beside it do not belong together: restore the files of one training"
        )
    recipe = recipe_from_toml(recipe_text, str(where / RECIPE))
    try:
        return DetectorFacts(
            recipe=recipe,
            frame=frame_from_json(content["frame"]),
            calibration=Calibration.from_json(content["calibration"]),
            ranges=TrainingRanges.from_json(content["ranges"]) if content.get("ranges") else None,
            class_name=str(content.get("class_name", "")),
            camera=Camera(**content["camera"]) if content.get("camera") else None,
            id=str(content["id"]),
            without=str(content.get("without", "")),
            finder=PartFinder.from_json(content["finder"]) if content.get("finder") else None,
            stand_ins={str(source): str(detector_id) for source, detector_id in content.get("stand_ins", {}).items()},
            kinds=KnownKinds.from_json(content["kinds"]) if content.get("kinds") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{where / FACTS} is damaged: {error}; train again or restore the file") from error


def stand_in_folder(path: Path, source: str) -> Path:
    """The folder of the detector that does without a source, beside the one at `path`. Raises CheckpointError."""
    folder = detector_folder(path)
    facts, _ = read_facts(folder)
    if source not in facts.stand_ins:
        sources = ", ".join(facts.stand_ins)
        remedy = f"it can do without {sources}" if sources else "train it with --set scoring.stand_ins=true"
        raise CheckpointError(f"{folder} holds no fallback detector without '{source}': {remedy}")
    below = folder / WITHOUT / source
    stand_in_facts, _ = read_facts(below)
    if stand_in_facts.id != facts.stand_ins[source]:
        raise CheckpointError(
            f"{below} is of another training than {folder}: restore the files of one training, or train again"
        )
    return below


def detector_folder(path: Path) -> Path:
    """The folder with the detector's files: `path`, or its only class folder. Raises CheckpointError."""
    if (path / FACTS).is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; give the folder that `trd train --out` wrote")
    trained = sorted(p.parent.name for p in path.glob(f"*/{FACTS}"))
    if len(trained) == 1:
        return path / trained[0]
    if trained:
        raise CheckpointError(f"{path} holds detectors of several classes: name one of {path}/{{{','.join(trained)}}}")
    raise CheckpointError(f"{path} holds no finished detector ({FACTS} is missing); did training finish?")


def _identity(recipe_text: str, state: State) -> str:
    """Of the content, so that a training that is repeated to the bit has the same."""
    digest = hashlib.sha256(recipe_text.encode())
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(state[name]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _fingerprint(recipe_text: str) -> str:
    return hashlib.sha256(recipe_text.encode()).hexdigest()[:16]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        version = int(content["format_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a detector: {error!r}; train again or restore the file"
        ) from error
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by a newer version (format {version}, this one reads up to {FORMAT_VERSION}): "
            "upgrade trd-anomaly"
        )
    if version < FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by an earlier version (format {version}, this one reads {FORMAT_VERSION}): train again"
        )
    return content


def _read_weights(path: Path, content: Mapping[str, Any]) -> State:
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing or truncated: {error}; restore the file or train again") from error
    if metadata.get("id") != content.get("id"):
        raise CheckpointError(
            f"{path} and {FACTS} beside it do not belong together ({metadata.get('id')} and {content.get('id')}): "
            "restore the files of one training"
        )
    return state
