"""Which training parts are unlike the others? Leave-one-out nearest neighbours of a frozen teacher's features.

Every cell of a part is compared with the cells of all other parts; what no other part has, a defect or a wrong part,
is far from them all. A part's strangeness is the mean distance of its few strangest cells, in robust deviations from
the median part, the largest over modalities.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from trd.preprocess.parts import batches, stacked_images
from trd.progress import tracked
from trd.types import PreparedSample

STRANGEST = 4  # cells that make a part's score
NEIGHBOURS = 20_000  # cells of other parts compared with, at most
CELL_SHARE = 0.3  # of a cell's pixels that must be scored
BATCH = 4
TEACHER = "efficientnet_lite0"  # comes with the package, takes 20 ms a picture

Floats = NDArray[np.float32]


def strangeness(parts: Sequence[PreparedSample], console: Console | None = None) -> NDArray[np.float64]:
    """(N,) of N training parts; 0 is the median part, above 5 or so a part deserves a look."""
    if len(parts) < 3:
        return np.zeros(len(parts))
    cells = _cells(parts, console or Console(quiet=True))
    of_modalities = []
    for features in cells.values():
        distances = np.array([_strangest(features, index) for index in range(len(features))])
        spread = 1.4826 * float(np.median(np.abs(distances - np.median(distances))))  # a deviation, if normal
        of_modalities.append((distances - np.median(distances)) / max(spread, 1e-9))
    return np.asarray(np.max(of_modalities, axis=0), np.float64)


def _strangest(features: Sequence[Floats], index: int) -> float:
    """Mean distance of a part's strangest cells from their nearest neighbours in the other parts."""
    rest = [cells for other, cells in enumerate(features) if other != index]
    share = min(1.0, NEIGHBOURS / sum(map(len, rest)))
    rng = np.random.default_rng(0)
    others = np.concatenate([cells[rng.random(len(cells)) < share] if share < 1 else cells for cells in rest])
    own = features[index]
    squares = (own**2).sum(axis=1)[:, None] - 2 * own @ others.T + (others**2).sum(axis=1)
    nearest = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return float(np.sort(nearest)[-STRANGEST:].mean())


def _cells(parts: Sequence[PreparedSample], console: Console) -> dict[str, list[Floats]]:
    """modality -> per part (cells, channels): the teacher's two coarser levels on the coarsest grid, standardised."""
    import torch
    from torch.nn import functional as F

    from trd.teachers import build_teacher

    teacher = build_teacher(TEACHER, "auto")
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (teacher.input_mean, teacher.input_std))
    found: dict[str, list[Floats]] = {name: [] for name in parts[0].images}
    steps = list(batches(parts, BATCH))
    for step in tracked(steps, "comparing training parts", len(steps), console):
        for name, stack in stacked_images(step).items():
            with torch.inference_mode():
                _, middle, coarse = teacher((torch.from_numpy(stack) - mean) / std)
                size = (coarse.shape[2], coarse.shape[3])
                joined = torch.cat([F.adaptive_avg_pool2d(middle, size), coarse], dim=1)
                joined = F.avg_pool2d(joined, 3, stride=1, padding=1, count_include_pad=False)
            for part, features in zip(step, joined.permute(0, 2, 3, 1).numpy(), strict=True):
                found[name].append(features[_scored(part, size)])
    for name, features in found.items():
        every = np.concatenate(features)
        centre, scale = every.mean(axis=0), np.maximum(every.std(axis=0), 1e-6)
        found[name] = [np.ascontiguousarray((one - centre) / scale, np.float32) for one in features]
    return found


def _scored(part: PreparedSample, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) cells that are scored; all of them where that leaves fewer than a part's score needs."""
    import cv2

    whole = np.ones(size, bool)
    if part.region is None:
        return whole
    share = cv2.resize(part.region.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return share > CELL_SHARE if (share > CELL_SHARE).sum() >= STRANGEST else whole
