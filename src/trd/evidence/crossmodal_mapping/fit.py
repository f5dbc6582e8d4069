"""Good parts -> trained mappings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from trd.engines.pytorch.precision import prediction_dtype
from trd.evidence.base import FitJob
from trd.evidence.crossmodal_mapping.mappings import CrossmodalMappings, section, unit_distances
from trd.evidence.state import tensors_of
from trd.progress import tracked
from trd.teachers.frozen import FrozenTeacher, on_one_grid, scored_cells
from trd.teachers.pyramid import Pyramid
from trd.types import State

LARGEST = torch.finfo(torch.float16).max


def fit_mappings(job: FitJob, teacher: FrozenTeacher) -> State:
    """`Trained.fit`. Takes minutes, so that an interrupted one begins again; the seed decides all of it."""
    config, device = section(job.recipe).training, teacher.device
    module = CrossmodalMappings(tuple(job.recipe.modalities), sum(teacher.channels)).to(device)
    low = prediction_dtype(job.recipe.precision, device) != torch.float32
    features = _Features(module, job, teacher, config.feature_memory * 2**30)
    optimizer = torch.optim.Adam(module.parameters(), lr=config.learning_rate, fused=True)
    for step in _shown_steps(job):
        cells = features.drawn(step)
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            predicted = module(cells)
        squares = [unit_distances(predicted[name].float(), cells[name]) for name in module.modalities]
        loss = torch.stack([modality_squares.mean() / 2 for modality_squares in squares]).sum()  # of 1 - cosine
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return tensors_of(module)


def _shown_steps(job: FitJob) -> Iterator[list[int]]:
    """Parts of every step of the training."""
    config, count = section(job.recipe).training, len(job.training)
    random = torch.Generator().manual_seed(job.recipe.seed)

    def steps() -> Iterator[list[int]]:
        for _ in range(config.epochs):
            yield from (step.tolist() for step in torch.split(torch.randperm(count, generator=random), size))

    size = config.batch_size
    return tracked(steps(), f"{job.title}: training", config.epochs * math.ceil(count / size), job.console)


class _Features:
    """The teacher's features of the training parts, rounded to float16 whether kept or not, on the training device.

    Level by level as the teacher gives them: on one grid they are several times as large. limit: bytes.
    """

    def __init__(self, module: CrossmodalMappings, job: FitJob, teacher: FrozenTeacher, limit: float) -> None:
        self._module, self._teacher = module, teacher
        self._parts = job.training
        self._cells = section(job.recipe).training.cells
        self._random = torch.Generator().manual_seed(job.recipe.seed + 1)
        self._device = teacher.device
        self._room = limit
        self._cached_pyramids: dict[int, dict[str, Pyramid]] = {}
        self._scored: dict[int, Tensor] = {}

    def drawn(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """modality -> (B, n, C) float32 features of the same random scored cells, n of each part."""
        pyramids = [self._pyramids_of(index) for index in indices]
        stacked_pyramids = {
            name: tuple(torch.cat(level).float() for level in zip(*(p[name] for p in pyramids), strict=True))
            for name in self._module.modalities
        }
        sampled = torch.stack([self._sampled_cells(self._scored[index]) for index in indices]).to(self._device)
        rows = torch.arange(len(indices), device=self._device)[:, None]
        return {name: cells[rows, sampled] for name, cells in _upsampled(stacked_pyramids).items()}

    def _sampled_cells(self, scored: Tensor) -> Tensor:
        return scored[torch.randint(len(scored), (self._cells,), generator=self._random)]

    def _pyramids_of(self, index: int) -> dict[str, Pyramid]:
        if index in self._cached_pyramids:
            return self._cached_pyramids[index]
        part = self._parts[index]
        pyramids = {}
        for name in self._module.modalities:
            image = torch.from_numpy(part.images[name])[None].to(self._device)
            levels = self._teacher(image)
            pyramids[name] = tuple(level.clamp(-LARGEST, LARGEST).half() for level in levels)
        if index not in self._scored:
            finest = pyramids[self._module.modalities[0]][0]
            self._scored[index] = scored_cells(part, (finest.shape[2], finest.shape[3]))
        size = sum(level.nbytes for pyramid in pyramids.values() for level in pyramid)
        if size <= self._room:
            self._room -= size
            self._cached_pyramids[index] = pyramids
        return pyramids


def _upsampled(pyramids: Mapping[str, Pyramid]) -> dict[str, Tensor]:
    """modality -> (B, h * w, C) of all levels on the finest one's cells."""
    return {name: on_one_grid(pyramid).flatten(2).transpose(1, 2) for name, pyramid in pyramids.items()}
