"""Cross-conformal calibration: every good part is scored by a detector that was trained without it.

The good parts are dealt into K folds. For each fold the evidence is fitted on the others and gives the raw maps of this
one's parts; all of them together calibrate. The detector that decides later is fitted on all parts.

Cost: K + 1 trainings instead of one, nothing at prediction. What the rate is worth: for a part scored by one of the
fold detectors against its own fold, split-conformal's guarantee holds; the pooled ranks of K folds are known to hold
2 x the rate in the worst case and about the rate in practice (Vovk 2015, Barber et al. 2021); that the deciding
detector scores a new good part like the fold detectors, each trained on (K - 1) / K of the parts, is an assumption,
which a detector that knows more good parts mostly keeps on the safe side. So `Calibration.kind` says "cross", and the
rates are called estimates.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trd import processes
from trd.engines.base import Engine, Maps, Placement
from trd.errors import RecipeError
from trd.evidence.base import FitJob
from trd.files import write_whole
from trd.preprocess.parts import PreparedParts
from trd.types import State

FOLDS = "checkpoints/folds"
RawMaps = Callable[[Engine, PreparedParts, Console, str], Maps]


def dealt(count: int, folds: int, seed: int) -> list[list[int]]:
    """Indices of each fold's parts, ascending: a seeded shuffle, dealt in turn. Raises RecipeError for too few."""
    if count < 2 * folds:
        raise RecipeError(
            f"scoring.calibration = 'cross' with {folds} folds needs {2 * folds} good parts, there are {count}: set "
            "scoring.folds lower, or scoring.calibration=split"
        )
    order = np.random.default_rng(seed).permutation(count)
    return [sorted(order[fold::folds].tolist()) for fold in range(folds)]


def out_of_fold_maps(job: FitJob, fit_state: Callable[[FitJob], State], raw_maps: RawMaps) -> Maps:
    """branch -> (N, h, w) raw maps of all N training parts of the job, each by the detector that did not see it.

    A fold that is done is kept in the job's folder, so that an interrupted work goes on with the next one.
    """
    if processes.count() > 1:
        raise RecipeError("scoring.calibration = 'cross' trains in one process: leave torchrun out, or take 'split'")
    count, folds = len(job.training), dealt(len(job.training), job.recipe.scoring.folds, job.recipe.seed)
    collected: dict[str, list[np.ndarray]] = {}
    for number, held_out in enumerate(folds):
        path = job.folder / FOLDS / f"{number}.safetensors"
        maps = _stored_maps(path)
        if maps is None:
            title = f"{job.title}: fold {number + 1} of {len(folds)}"
            maps = _fold_maps(job, fit_state, raw_maps, held_out, job.folder / FOLDS / str(number), title)
            write_whole(path, partial(save_file, dict(maps)))
            shutil.rmtree(job.folder / FOLDS / str(number), ignore_errors=True)
        for name, values in maps.items():
            collected.setdefault(name, []).append(values)
    order = np.argsort(np.concatenate([np.array(fold) for fold in folds]))
    assert len(order) == count
    return {name: np.concatenate(values)[order] for name, values in collected.items()}


def _fold_maps(
    job: FitJob,
    fit_state: Callable[[FitJob], State],
    raw_maps: RawMaps,
    held_out: Sequence[int],
    folder: Path,
    title: str,
) -> Maps:
    from trd.evidence.detection import detector_engine  # torch, without which packages are calibrated too

    others = sorted(set(range(len(job.training))) - set(held_out))
    fold_job = replace(job, title=title, training=job.training.chosen(others), folder=folder, record={})
    state = fit_state(fold_job)
    engine = detector_engine(job.recipe, state, job.size, Placement(job.device), job.tiles)
    return raw_maps(engine, job.training.chosen(held_out), job.console, title)


def _stored_maps(path: Path) -> Maps | None:
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        return None
