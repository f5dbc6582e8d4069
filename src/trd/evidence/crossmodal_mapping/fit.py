"""Good parts -> trained mappings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from trd.engines.pytorch.out_of_memory import TRAINING_REMEDY, full_memory_said
from trd.engines.pytorch.precision import prediction_dtype, resolve_device
from trd.evidence.base import FitJob
from trd.evidence.crossmodal_mapping.config import section
from trd.evidence.crossmodal_mapping.mappings import CrossmodalMappings, upsampled
from trd.evidence.repeatable import repeatable
from trd.evidence.state import tensors_of
from trd.progress import tracked
from trd.teachers.frozen import scored_cells
from trd.teachers.pyramid import Pyramid
from trd.types import State

LARGEST = torch.finfo(torch.float16).max


def fit_mappings(job: FitJob) -> State:
    """`Method.fit`. Takes minutes, so that an interrupted one begins again; the seed decides all of it."""
    recipe, config, device = job.recipe, section(job.recipe).training, torch.device(resolve_device(job.device))
    with full_memory_said(TRAINING_REMEDY), repeatable(recipe.seed, True):
        module = CrossmodalMappings(recipe).to(device)
        module.teacher.made_ready(device)
        low = prediction_dtype(config.precision, device) != torch.float32
        features = _Features(module, job, device, config.feature_memory * 2**30)
        optimizer = torch.optim.Adam(module.mappings.parameters(), lr=config.learning_rate, fused=True)
        for step in _shown_steps(job):
            cells = features.drawn(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=low):
                squares = module.squared_distances(cells)
            loss = torch.stack([of_modality.mean() / 2 for of_modality in squares.values()]).sum()  # of 1 - cosine
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's gap
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

    def __init__(self, module: CrossmodalMappings, job: FitJob, device: torch.device, limit: float) -> None:
        self._module = module
        self._parts = job.training
        self._cells = section(job.recipe).training.cells
        self._random = torch.Generator().manual_seed(job.recipe.seed + 1)
        self._device = device
        self._room = limit
        self._kept: dict[int, dict[str, Pyramid]] = {}
        self._scored: dict[int, Tensor] = {}

    def drawn(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """modality -> (B, n, C) float32 features of the same random scored cells, n of each part."""
        pyramids = [self._of(index) for index in indices]
        together = {
            name: tuple(torch.cat(level).float() for level in zip(*(p[name] for p in pyramids), strict=True))
            for name in self._module.modalities
        }
        chosen = torch.stack([self._some(self._scored[index]) for index in indices]).to(self._device)
        rows = torch.arange(len(indices), device=self._device)[:, None]
        return {name: cells[rows, chosen] for name, cells in upsampled(together).items()}

    def _some(self, scored: Tensor) -> Tensor:
        return scored[torch.randint(len(scored), (self._cells,), generator=self._random)]

    def _of(self, index: int) -> dict[str, Pyramid]:
        if index in self._kept:
            return self._kept[index]
        part = self._parts[index]
        pyramids = {}
        for name in self._module.modalities:
            image = torch.from_numpy(part.images[name])[None].to(self._device)
            levels = self._module.teacher(image)
            pyramids[name] = tuple(level.clamp(-LARGEST, LARGEST).half() for level in levels)
        if index not in self._scored:
            finest = pyramids[self._module.modalities[0]][0]
            self._scored[index] = scored_cells(part, (finest.shape[2], finest.shape[3]))
        size = sum(level.nbytes for pyramid in pyramids.values() for level in pyramid)
        if size <= self._room:
            self._room -= size
            self._kept[index] = pyramids
        return pyramids
