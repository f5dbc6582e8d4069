"""A recipe's evidence fitted on parts that are made up, and its maps: without files, preparation and calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trd.config import Recipe
from trd.engines.base import Placement
from trd.evidence.base import FitJob
from trd.evidence.detection import detector_engine, fit_evidence
from trd.preprocess.parts import PreparedParts, stacked_images
from trd.types import PreparedSample, State


def job(recipe: Recipe, part: Callable[[int], PreparedSample], count: int = 6, folder: Path = Path("unused")) -> FitJob:
    """Of `part(0)`, ... as training parts. folder: for evidence that keeps checkpoints."""
    return FitJob(recipe, "parts", PreparedParts(count, part), None, folder, device="cpu")


def fitted(
    recipe: Recipe, part: Callable[[int], PreparedSample], count: int = 6, folder: Path = Path("unused")
) -> State:
    return fit_evidence(job(recipe, part, count, folder))


def maps(recipe: Recipe, state: State, *parts: PreparedSample, precision: str = "fp32") -> dict[str, NDArray]:
    """branch -> (h, w) of one part, (B, h, w) of several."""
    images = stacked_images(list(parts))
    size = next(iter(images.values())).shape[2:]
    engine = detector_engine(recipe, state, size, Placement("cpu", precision))
    found = engine.raw_maps(images)
    return {name: values if len(parts) > 1 else values[0] for name, values in found.items()}


def noise(recipe: Recipe, number: int, size: tuple[int, int] = (64, 64)) -> PreparedSample:
    """A part of random pixels for each of the recipe's modalities."""
    rng = np.random.default_rng(number)
    images = {name: rng.random((3, *size), np.float32) for name in recipe.modalities}
    return PreparedSample(f"part-{number}", "good", images, None, None, size)
