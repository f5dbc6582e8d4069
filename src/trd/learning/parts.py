"""Prepared parts -> what a lesson learns from and is judged on: maps and features in cells of four pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.graphs import IMAGE
from trd.engines.pytorch.engine import PyTorchEngine
from trd.evidence.known_defects.channels import Channels
from trd.evidence.patch_statistics.features import STRIDE
from trd.preprocess.parts import stacked_images
from trd.progress import tracked
from trd.types import Camera, PreparedSample, SampleFiles

ENOUGH = 0.5  # of a cell's pixels must be scored, or marked, for the cell to be


@dataclass(frozen=True)
class LessonPart:
    """plain: (P, h, w) of `Channels.plain`. scored: (h, w) bool. marked: (h, w) bool, None where nobody marked it or
    the mark lies where nothing is scored."""

    id: str
    kind: str
    plain: Tensor
    scored: NDArray[np.bool_]
    marked: NDArray[np.bool_] | None = None


Marked = tuple[PreparedSample, NDArray[np.bool_] | None]
"""A prepared part, and the marked pixels of its window, None for none."""


def unmarked(parts: Iterable[PreparedSample]) -> Iterable[Marked]:
    return ((part, None) for part in parts)


def marked_sample(detector: Detector, camera: Camera | None) -> Callable[[SampleFiles], Marked]:
    """Reads and prepares a defective part."""
    clouds, frame = detector.recipe.point_cloud_sources, detector.facts.frame

    def read(files: SampleFiles) -> Marked:
        sample = load_sample(files, clouds, camera)
        mark = None if sample.mask is None else frame.from_sensor(sample.mask)
        return detector.pipeline(sample), mark

    return read


def lesson_parts(
    engine: PyTorchEngine, channels: Channels, marked: Iterable[Marked], title: str, count: int, console: Console
) -> list[LessonPart]:
    """`lesson_part` of all, with progress."""
    return [lesson_part(engine, channels, part) for part in tracked(marked, title, count, console)]


@torch.no_grad()
def lesson_part(engine: PyTorchEngine, channels: Channels, marked: Marked) -> LessonPart:
    part, mark = marked
    values = engine.values(stacked_images([part]))
    # images as they came: the engine may compute elsewhere
    tensors = [
        torch.from_numpy(part.images[name.removeprefix(IMAGE)])[None]
        if name.startswith(IMAGE)
        else values[name].float().cpu()
        for name in channels.names
    ]
    plain = channels.plain(*tensors)[0]
    scored = np.ones(plain.shape[1:], bool) if part.region is None else in_cells(part.region)
    if not scored.any():
        scored = np.ones_like(scored)
    cells = None if mark is None else _marked_cells(mark, scored)
    return LessonPart(part.id, part.defect, plain, scored, cells)


def in_cells(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) -> (h / 4, w / 4): where enough of a cell is True."""
    return np.asarray(_shares(pixels) >= ENOUGH)


def _marked_cells(mark: NDArray[np.bool_], scored: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Scored cells that are marked; of a mark that is finer than a cell those with most of it."""
    shares = np.where(scored, _shares(mark), 0)
    most = float(shares.max())
    return np.asarray(shares >= min(ENOUGH, most)) if most > 0 else None


def _shares(pixels: NDArray[np.bool_]) -> NDArray[np.float32]:
    return F.avg_pool2d(torch.from_numpy(pixels.astype(np.float32))[None], STRIDE)[0].numpy()


def cells_of(values: Tensor, chosen: NDArray[np.bool_]) -> Tensor:
    """(C, h, w) of a part -> (N, C) of its chosen cells."""
    return values[:, torch.from_numpy(chosen)].T.contiguous()


def raw_maps(parts: Sequence[LessonPart], branches: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """branch -> (N, h, w): the first plain channels."""
    stacks = np.stack([part.plain[: len(branches)].numpy() for part in parts])
    return {name: np.ascontiguousarray(stacks[:, number]) for number, name in enumerate(branches)}
