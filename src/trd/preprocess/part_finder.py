"""Where the part is in an image that comes without a cloud: learned from training images of which the cloud told it.

A stand-in detector (`trd.training.stand_ins`) that does without the 3D sensor would else have to score the whole
window. Parts differ, but the support that they lie on mostly looks the same, so local colour and texture tell one from
the other: a logistic regression on them, their squares and products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.preprocess.foreground import REGION_DILATION, Mask, filled_outline
from trd.preprocess.parts import PreparedParts

Floats = NDArray[np.float32]

HALF = 2  # pixels per cell: the outline is widened by more
FINE, COARSE = 0.8, 2.5  # cells: widths over which colour is averaged; texture is what the first leaves out
QUIET = 1e-3  # added to deviations before their logarithm
OPENING = 9  # pixels: narrower specks and bridges are no part
LEAST_PIECE = 0.1  # of the largest piece's area: parts may lie in several
CELLS = 200_000  # that are learned from, equally of each part
ROUNDS = 12  # of Newton's method
RIDGE = 1.0  # on standardised regressors, beside sums over all cells
SURE = 30.0  # log odds are cut here
ENOUGH = 0.8  # median overlap with what the cloud shows, from which on it is used
CHECKED = 20  # parts on which that is measured


@dataclass(frozen=True)
class PartFinder:
    """Log odds of a cell being part: features' quadratic form, `quadratic` (F, F), `linear` (F,), `constant`.

    modality: in whose image it looks. overlap: median intersection over union with the cloud's regions, on parts that
    it was not fitted on where there were any.
    """

    modality: str
    quadratic: tuple[tuple[float, ...], ...]
    linear: tuple[float, ...]
    constant: float
    overlap: float = 0.0

    def __call__(self, image: Floats) -> Mask | None:
        """(3, h, w) image in [0, 1] -> (h, w) pixels on and near the part; None where none is seen."""
        cells = _features(image)
        height, width = image.shape[1:]
        odds = cells @ np.asarray(self.linear, np.float32) + np.float32(self.constant)
        odds += ((cells @ np.asarray(self.quadratic, np.float32)) * cells).sum(axis=-1)
        part = (cv2.resize(odds, (width, height), interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (OPENING, OPENING))
        count, pieces, facts, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(part, cv2.MORPH_OPEN, disc))
        areas = facts[:, cv2.CC_STAT_AREA]
        if count < 2:  # the first is what is no part
            return None
        large = [piece for piece in range(1, count) if areas[piece] >= LEAST_PIECE * areas[1:].max()]
        return filled_outline(np.isin(pieces, large).astype(np.uint8))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PartFinder:
        """Raises KeyError, TypeError or ValueError for what `to_json` does not write."""
        quadratic = np.array(values["quadratic"], np.float64)
        linear = np.array(values["linear"], np.float64)
        constant = float(values["constant"])
        if quadratic.shape != (linear.size, linear.size) or linear.size != _COUNT:
            raise ValueError(f"the part finder has {quadratic.shape} and {linear.shape} numbers, expected {_COUNT}")
        if not (np.isfinite(quadratic).all() and np.isfinite(linear).all() and np.isfinite(constant)):
            raise ValueError("the part finder holds numbers that are not finite")
        rows = tuple(tuple(row) for row in quadratic.tolist())
        return cls(str(values["modality"]), rows, tuple(linear.tolist()), constant, float(values["overlap"]))


def fit_part_finder(modality: str, training: PreparedParts, held_out: PreparedParts, seed: int) -> PartFinder | None:
    """From the images of parts whose regions the cloud has shown; None where no part has one, or where on most parts
    the finder and the cloud do not agree: then colour does not tell the part from what it lies on."""
    random = np.random.default_rng(seed)
    most = max(1, CELLS // len(training))
    labelled_cells = [
        _labelled(part.images[modality], part.region, most, random) for part in training if part.region is not None
    ]
    if not labelled_cells:
        return None
    values = np.concatenate([cells for cells, _ in labelled_cells]).astype(np.float64)
    target = np.concatenate([share for _, share in labelled_cells])
    if target.min() == target.max():  # parts that fill the window
        return None
    finder = _finder_from_weights(modality, _logistic(_products(values), target))
    checked = islice((part for part in (held_out or training) if part.region is not None), CHECKED)
    overlaps = [_overlap(finder(part.images[modality]), part.region) for part in checked]
    overlap = float(np.median(overlaps)) if overlaps else 0.0
    return replace(finder, overlap=overlap) if overlap >= ENOUGH else None


def _features(image: Floats) -> Floats:
    """(3, h, w) -> (h / 2, w / 2, 9): lightness and two opponent colours of the roots, at two widths, and texture."""
    red, green, blue = np.sqrt(np.clip(image, 0, 1))
    opponent = np.stack([(red + green + blue) / 3, red - green, green - blue], axis=-1)
    height, width = opponent.shape[:2]
    half = cv2.resize(opponent, (width // HALF, height // HALF), interpolation=cv2.INTER_AREA)
    fine, coarse = (cv2.GaussianBlur(half, (0, 0), sigma) for sigma in (FINE, COARSE))
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(np.square(half - fine), (0, 0), COARSE), 0))
    return np.concatenate([fine, coarse, np.log(spread + np.float32(QUIET))], axis=-1, dtype=np.float32)


_COUNT = 9
_ROWS, _COLUMNS = np.triu_indices(_COUNT)


def _products(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, F) -> (N, 1 + F + F (F + 1) / 2): a constant, the features, their squares and products."""
    return np.concatenate([np.ones_like(values[:, :1]), values, values[:, _ROWS] * values[:, _COLUMNS]], axis=1)


def _labelled(
    image: Floats, region: Mask, most: int, random: np.random.Generator
) -> tuple[Floats, NDArray[np.float64]]:
    """(N, F) features of some cells, and the share of each that is part."""
    cells = _features(image)
    size = (cells.shape[1], cells.shape[0])
    part = cv2.erode(region.astype(np.uint8), np.ones((REGION_DILATION,) * 2, np.uint8))  # without the rim around it
    share = cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    chosen = random.permutation(share.size)[:most]
    return cells.reshape(-1, _COUNT)[chosen], share.ravel()[chosen].astype(np.float64)


def _logistic(regressors: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of a ridge logistic regression whose first regressor is the constant, by Newton's method."""
    mean, std = regressors.mean(axis=0), regressors.std(axis=0)
    mean[0], std[0] = 0.0, 1.0
    std[std < 1e-9] = np.inf  # what never varies gets no weight: all colours of a grey image
    scaled = (regressors - mean) / std
    ridge = np.full(len(mean), RIDGE)
    weights = np.zeros(len(mean))
    for _ in range(ROUNDS):
        share = 1 / (1 + np.exp(-np.clip(scaled @ weights, -SURE, SURE)))
        gradient = scaled.T @ (share - target) + ridge * weights
        curvature = (scaled * (share * (1 - share) + 1e-6)[:, None]).T @ scaled + np.diag(ridge)
        weights -= np.linalg.solve(curvature, gradient)
    plain = weights / std
    plain[0] = weights[0] - (plain[1:] * mean[1:]).sum()
    return np.asarray(plain)


def _finder_from_weights(modality: str, weights: NDArray[np.float64]) -> PartFinder:
    quadratic = np.zeros((_COUNT, _COUNT))
    quadratic[_ROWS, _COLUMNS] = weights[1 + _COUNT :]
    rows = tuple(tuple(row) for row in quadratic.tolist())
    return PartFinder(modality, rows, tuple(weights[1 : 1 + _COUNT].tolist()), float(weights[0]))


def _overlap(region: Mask | None, expected: Mask | None) -> float:
    """Intersection over union; 0 where one of them is missing."""
    if region is None or expected is None:
        return 0.0
    return float((region & expected).sum() / max((region | expected).sum(), 1))
