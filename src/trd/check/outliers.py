"""Which training parts are unlike the others? Patch statistics, every part against mixtures that do not know it.

The parts are dealt into folds; the parts of one are compared with a mixture of places (`trd.statistics`) fitted on the
others, so that no part explains itself. A modality's smoothed map is measured in what is usual for a part's strangest
place: its median and robust deviation over all parts, which a few bad ones do not move. The norm over modalities of
what lies above it is the map that is shown, and its maximum the part's strangeness.

Neighbours of a teacher's features find fewer, and the greater of both scores finds no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trd.config import Recipe
from trd.decision.fusion import RULES
from trd.decision.maps import smooth
from trd.progress import tracked
from trd.types import PreparedSample

FOLDS = 5
COMPONENTS = 32
CELLS = 20_000  # that a mixture is fitted on: a third of what a detector's takes, in a third of the time
SIGMA = 1.0  # of the maps' smoothing, in cells of 4 pixels
NORMAL = 1.4826  # median absolute deviations in the deviation of a normal distribution
TINY = 1e-6

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Strangeness:
    """Of N parts. scores: (N,) robust deviations of a part's strangest place from the median part's; 0: not above it.

    maps: N of (h / 4, w / 4), the same of every place; their maxima are the scores.
    """

    scores: NDArray[np.float64]
    maps: tuple[Floats, ...]


def strangeness(parts: Sequence[PreparedSample], recipe: Recipe, console: Console | None = None) -> Strangeness:
    """Of training parts of one size. The recipe's seed decides all of it. Fewer than three are all 0: of two that
    differ nobody knows which is the strange one."""
    if len(parts) < 3:
        images = [next(iter(part.images.values())) for part in parts]
        return Strangeness(np.zeros(len(parts)), tuple(np.zeros_like(image[0, ::4, ::4]) for image in images))
    distances = _distances(parts, recipe, console or Console(quiet=True))
    levelled = [_levelled(maps) for maps in distances.values()]
    maps = tuple(RULES["norm"].fused(part_maps) for part_maps in zip(*levelled, strict=True))
    return Strangeness(np.array([values.max() for values in maps], np.float64), maps)


def _levelled(maps: Sequence[Floats]) -> list[Floats]:
    """Smoothed; less the median of the parts' maxima, in robust deviations of these; 0 where below."""
    smoothed = [smooth(values, SIGMA) for values in maps]
    highest = np.array([values.max() for values in smoothed])
    median = np.median(highest)
    spread = max(NORMAL * float(np.median(np.abs(highest - median))), TINY)
    return [np.asarray(np.maximum((values - median) / spread, 0), np.float32) for values in smoothed]


def _distances(parts: Sequence[PreparedSample], recipe: Recipe, console: Console) -> dict[str, list[Floats]]:
    """modality -> N maps (h / 4, w / 4) of how unlike the other folds' places; the least of all where not scored."""
    import torch

    from trd.evidence.patch_statistics.features import features_of
    from trd.evidence.patch_statistics.maps import scored_cells
    from trd.evidence.patch_statistics.mixture import fit_mixture

    count, random = len(parts), torch.Generator().manual_seed(recipe.seed)
    folds = np.random.default_rng(recipe.seed).permutation(count) % FOLDS
    scored = [scored_cells(part) for part in parts]
    vectors = recipe.vector_maps
    steps = [(name, fold) for name in parts[0].images for fold in range(min(FOLDS, count))]
    distances: dict[str, list[Floats]] = {}
    with torch.no_grad():
        for name, fold in tracked(steps, "comparing training parts", len(steps), console):
            if fold == 0:
                extract = features_of(vectors.get(name, "none"))
                features = [extract(torch.from_numpy(part.images[name])[None]) for part in parts]
                cells = [
                    feature_map[0].flatten(1).T[indices] for feature_map, indices in zip(features, scored, strict=True)
                ]
                distances[name] = [np.empty(0, np.float32)] * count
            others = [index for index in range(count) if folds[index] != fold]
            most = max(1, CELLS // len(others))
            reference_cells = [cells[i][torch.randperm(len(cells[i]), generator=random)[:most]] for i in others]
            mixture = fit_mixture(reference_cells, COMPONENTS, random)
            for index in np.flatnonzero(folds == fold):
                distances[name][index] = mixture(features[index])[0].numpy()
    return {name: _without_rest(maps, [indices.numpy() for indices in scored]) for name, maps in distances.items()}


def _without_rest(maps: Sequence[Floats], scored: Sequence[NDArray[np.int64]]) -> list[Floats]:
    """The cells that are not scored become the least of those that are, of all parts."""
    least = min(values.ravel()[indices].min() for values, indices in zip(maps, scored, strict=True))
    cut = []
    for values, indices in zip(maps, scored, strict=True):
        filled = np.full_like(values, least)
        filled.ravel()[indices] = values.ravel()[indices]
        cut.append(filled)
    return cut
