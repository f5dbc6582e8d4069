"""One recipe with one seed on one class: train where needed, score the test parts, keep what tables need of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from trd.data.images import mask_files
from trd.detector import Detector
from trd.errors import CheckpointError
from trd.evaluation.evaluate import FUSED, METRICS, evaluate_files
from trd.evaluation.pixel_profile import PixelProfile, pixel_profile
from trd.evaluation.report import SECTION, class_section
from trd.files import write_json, write_whole
from trd.runs import REPORT, Run
from trd.stored import FACTS, RECIPE, WEIGHTS, read_facts
from trd.training.digests import part_digests
from trd.training.fit import fit_class, is_finished
from trd.training.prepare import RECORD
from trd.types import ClassFolder
from trd_bench.compare.testing import TestSet

PARTS, FORMAT = "compare.npz", 1  # in a class's folder: its test parts' scores


@dataclass(frozen=True)
class Measured:
    """What one detector did on the test parts of its class.

    ids, defects, scores: (N,) per part, of the fused map. threshold: of the scores. metrics: the content of
    metrics.json. profile: for intervals of pixel metrics, None without masks. seconds: of training, by stage.
    size: of the detector's files, bytes. promise: the false-alarm rate of the threshold, for people.
    """

    recipe: str
    seed: int
    class_name: str
    folder: Path
    ids: tuple[str, ...]
    defects: tuple[str, ...]
    scores: NDArray[np.float32]
    threshold: float
    metrics: Mapping[str, Any]
    profile: PixelProfile | None
    seconds: Mapping[str, float]
    size: int
    training_parts: int
    rate: float


def complete(run: Run, tests: Mapping[str, TestSet], device: str) -> dict[str, Measured]:
    """Train and measure the classes of a run, as far as that is not done; class -> what was measured.

    What failed is in `run.failures`, and noted in the run folder.
    """
    news: list[str] = []

    def train(place: ClassFolder) -> None:
        tests[place.name].files(run.recipe.for_class(place.name))  # before minutes of training
        folder = run.folder(place.name)
        if not is_finished(place, run.recipe.for_class(place.name), folder):
            fit_class(place, run.recipe, folder, device, run.console)

    def measure(place: ClassFolder) -> None:
        folder, test = run.folder(place.name), tests[place.name]
        files = test.files(run.recipe.for_class(place.name))
        key = _key(folder, test, run)
        if _stored(folder, key) is not None and (folder / SECTION).is_file():
            return
        detector = Detector.load(folder, device)
        result = evaluate_files(detector, place.name, files, run.console)
        with run.console.status(escape(f"{place.name}: report")):
            section = class_section(detector, result)
        write_json(folder / METRICS, result.metrics)
        write_json(folder / SECTION, section)
        profile = None if result.masks is None else pixel_profile(result.maps[FUSED], result.masks)
        head = {
            "key": key,
            "ids": result.ids,
            "defects": result.defects,
            "threshold": detector.calibration.image_threshold.value,
            "rate": detector.calibration.image_threshold.guaranteed_rate,
        }
        arrays = {"scores": result.scores[FUSED]} | ({} if profile is None else vars(profile))
        _save(folder / PARTS, head, arrays)
        news.append(place.name)
        auroc = result.metrics["maps"][FUSED]["image_auroc"]
        run.console.print(
            f"{run.recipe.name}, seed {run.recipe.seed}, {place.name}: image AUROC {auroc:.3f} on "
            f"{len(result.ids)} parts",
            markup=False,
        )

    with run.alone():
        trained = run.each_class(train, run.classes, "training")
        done = run.each_class(measure, trained, "evaluation")
        if news or run.failures or not (run.out / REPORT).is_file():
            run.write_results()
        return {
            place.name: _read(run, place.name, _key(run.folder(place.name), tests[place.name], run)) for place in done
        }


def _key(folder: Path, test: TestSet, run: Run) -> dict[str, Any]:
    """What the measurement depends on: detector, calibration and the contents of the test parts."""
    facts, _ = read_facts(folder)
    parts = test.files(run.recipe.for_class(test.place.name)).test
    masks = [{str(file): file for file in (mask_files(part.mask) if part.mask else ())} for part in parts]
    with_masks = [replace(part, sources={**part.sources, **mask}) for part, mask in zip(parts, masks, strict=True)]
    return {
        "format": FORMAT,
        "detector": facts.id,
        "calibration": facts.calibration.id,
        "parts": part_digests(with_masks),
    }


def _save(path: Path, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **{**arrays, "head": np.array(json.dumps(head))})

    write_whole(path, write)


def _stored(folder: Path, key: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Head and arrays of an earlier measurement; None where there is none of this detector on these parts."""
    try:
        with np.load(folder / PARTS, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head: dict[str, Any] = json.loads(str(arrays.pop("head")))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
    return (head, arrays) if head.get("key") == key else None


def _read(run: Run, name: str, key: Mapping[str, Any]) -> Measured:
    folder = run.folder(name)
    stored = _stored(folder, key)
    if stored is None:
        raise CheckpointError(f"{folder / PARTS} cannot be read back: is another process working in {run.out}?")
    head, arrays = stored
    scores = arrays.pop("scores")
    record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
    return Measured(
        recipe=run.recipe.name,
        seed=run.recipe.seed,
        class_name=name,
        folder=folder,
        ids=tuple(head["ids"]),
        defects=tuple(head["defects"]),
        scores=scores,
        threshold=head["threshold"],
        metrics=json.loads((folder / METRICS).read_text("utf-8")),
        profile=PixelProfile(**arrays) if arrays else None,
        seconds=record["seconds"],
        size=sum((folder / file).stat().st_size for file in (WEIGHTS, RECIPE, FACTS)),
        training_parts=record["training_samples"],
        rate=head["rate"],
    )
