"""The straightforward version of each path, which the ratios of `run.py` are against.

Eager float32 modules, one modality after the other, BatchNorm as a layer, preprocessing in every epoch, scikit-learn's
metrics and a loop over thresholds for AUPRO: what one writes first, and what published code does. Same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from torch import Tensor

from trd.config import Recipe
from trd.detector import Detector
from trd.evidence.patch_statistics.maps import StatisticsMaps
from trd.evidence.reverse_distillation.config import section, statistics_branch
from trd.evidence.reverse_distillation.engine import restored, restored_statistics
from trd.evidence.reverse_distillation.maps.scorer import MapScorer
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput
from trd.evidence.reverse_distillation.training.fit import image_tensors
from trd.evidence.reverse_distillation.training.loss import network_loss
from trd.preprocess.pipeline import Pipeline
from trd.stored import read_detector
from trd.types import Sample


def forward(network: TunedReverseDistillation, images: Mapping[str, Tensor]) -> NetworkOutput:
    """Plain modules, teacher after teacher, student after student."""
    teachers = {}
    for name in network.modalities:
        with torch.no_grad():
            image = images[name].to(network.input_mean.device)
            pyramid = network.teacher((image - network.input_mean) / network.input_std)
            teachers[name] = network.scalers[name](pyramid) if name in network.scalers else pyramid
    students = {
        name: network.students[name](teachers[name], network.other_pyramids(teachers, name))
        for name in network.modalities
    }
    return NetworkOutput(teachers, students)


def optimiser(network: TunedReverseDistillation, recipe: Recipe) -> torch.optim.Adam:
    config = section(recipe).training
    return torch.optim.Adam(network.students.parameters(), lr=config.learning_rate, betas=config.betas)


def training_step(
    network: TunedReverseDistillation,
    adam: torch.optim.Adam,
    pipeline: Pipeline,
    samples: Sequence[Sample],
    loss: str,
) -> float:
    """One step from decoded samples: preparation belongs to every step, nothing is kept."""
    images = image_tensors([pipeline(sample) for sample in samples], torch.device("cpu"))
    terms = network_loss(forward(network, images), loss)
    total = torch.stack([term for branch in terms.values() for term in branch.values()]).sum()
    adam.zero_grad()
    total.backward()
    adam.step()
    return float(total.detach())


class Plain(NamedTuple):
    """A trained detector's plain modules, and what surrounds them."""

    detector: Detector
    network: TunedReverseDistillation
    scorer: MapScorer
    statistics: StatisticsMaps | None


def plain_modules(folder: Path, detector: Detector) -> Plain:
    """Of the folder that `detector` was loaded from, on its device."""
    state, device = read_detector(folder)[1], detector.engine.device
    network, scorer = restored(detector.recipe, state)
    statistics = restored_statistics(detector.recipe, state)
    return Plain(detector, network.to(device), scorer.to(device), statistics and statistics.to(device))


@torch.no_grad()
def predict(plain: Plain, sample: Sample) -> tuple[NDArray[np.float32], float]:
    """Decoded arrays -> fused map and score, one sample at a time, as the paper's script does it."""
    detector = plain.detector
    prepared = detector.pipeline(sample)
    images = image_tensors([prepared], torch.device("cpu"))
    size, calibration = detector.facts.frame.size, detector.calibration
    raw = plain.scorer(forward(plain.network, images), size)
    if plain.statistics is not None:
        raw |= {statistics_branch(name): values for name, values in plain.statistics(images).items()}
    maps = {}
    for name, numbers in calibration.maps.items():
        scores = (raw[name][0].cpu().numpy() - numbers.shift) / numbers.scale
        if prepared.region is not None:
            scores = np.where(prepared.region, scores, numbers.floor)
        maps[name] = np.asarray(ndimage.gaussian_filter(scores.astype(np.float32), calibration.sigma), np.float32)
    units = np.stack(list(maps.values()))
    if calibration.fusion == "sum":
        fused = units.sum(axis=0)
    else:
        norm = np.sqrt(np.square(np.maximum(units, 0)).sum(axis=0))
        fused = np.where(norm > 0, norm, units.max(axis=0)).astype(np.float32)
    return fused, float(fused.max())


def metrics(maps: NDArray[np.float32], masks: NDArray[np.bool_], limits: Sequence[float]) -> dict[str, float]:
    """scikit-learn over all pixels; per-region overlap threshold by threshold, 100 of them."""
    labels, scores = masks.ravel(), maps.ravel()
    precision, recall, _ = precision_recall_curve(labels, scores)
    result = {
        "pixel_auroc": roc_auc_score(labels, scores),
        "pixel_ap": average_precision_score(labels, scores),
        "pixel_f1max": float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()),
    }
    regions = [np.zeros(0, np.float32)] * 0
    for values, mask in zip(maps, masks, strict=True):
        found, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [np.sort(values[found == index]) for index in range(1, count + 1)]
    good = np.sort(maps[~masks])
    positions = np.linspace(0, len(good) - 1, 100).astype(int)
    rate = np.append((1 - (positions + 1) / len(good))[::-1], 1.0)
    overlap = [np.mean([(region > good[p]).mean() for region in regions]) for p in positions[::-1]]
    curve = np.append(overlap, 1.0)
    for limit in limits:
        inside = rate <= limit
        x, y = np.append(rate[inside], limit), np.append(curve[inside], np.interp(limit, rate, curve))
        result[f"aupro_{round(100 * limit)}"] = float(np.trapezoid(y, x) / limit)
    return result


def sobel_normals(xyz: NDArray[np.float32], size: int, kernel: int) -> NDArray[np.float32]:
    """The published normals image with neighbours gathered one by one and generic filters."""
    import cv2

    from trd.preprocess.foreground import paper_foreground

    foreground = paper_foreground(xyz)
    z = np.where(foreground, xyz[..., 2], 0).astype(np.float64)
    known = z != 0
    z[known] = (z[known] - z[known].min()) / (z[known].max() - z[known].min())
    for _ in range(2):
        padded = np.pad(z, 1)
        height, width = z.shape
        stack = np.stack([padded[i : i + height, j : j + width] for i in range(3) for j in range(3)])
        count = (stack != 0).sum(axis=0)
        mean = stack.sum(axis=0) / np.maximum(count, 1)
        z = np.where(z == 0, mean, z)
    slopes = [cv2.Sobel(z, cv2.CV_64F, 1 - axis, axis, ksize=kernel) for axis in (0, 1)]
    normals = np.dstack([-slopes[0], -slopes[1], np.ones_like(z)])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    image = (normals + 1) / 2 * foreground[..., None]
    return np.moveaxis(cv2.resize(image, (size, size)), -1, 0).astype(np.float32)
