"""Good parts -> banks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trd.engines.pytorch.out_of_memory import explained_out_of_memory
from trd.evidence.base import FitJob
from trd.evidence.memory_bank.bank import FeatureBank, PatchFeatures, grids_of, levels_of, section
from trd.evidence.memory_bank.neighbours import farthest_points
from trd.evidence.state import tensors_of
from trd.preprocess.parts import batches
from trd.preprocess.turning import turned
from trd.progress import tracked
from trd.teachers.frozen import FrozenTeacher, scored_cells
from trd.types import State

BATCH = 8
REMEDY = "set evidence.memory_bank.entries lower, or a smaller frame.size, or take --device cpu"


@torch.no_grad()
def fit_banks(job: FitJob, teacher: FrozenTeacher) -> State:
    """`Trained.fit`. Takes seconds to minutes, so that an interrupted one begins again; the seed decides all of it."""
    random, state = torch.Generator().manual_seed(job.recipe.seed), dict[str, NDArray[np.generic]]()
    with explained_out_of_memory(REMEDY):
        for number, name in enumerate(job.recipe.modalities):
            channels = [teacher.channels[level] for level in levels_of(section(job.recipe))]
            features = cell_features(name, job, teacher, random)
            bank = _filled_bank(features, channels, name, job, random)
            state |= tensors_of(bank, f"{number}.")
    return state


def cell_features(name: str, job: FitJob, teacher: FrozenTeacher, random: torch.Generator) -> Tensor:
    """(N, C) of the scored cells of one modality, on the teacher's device; of each part at most its share of what is
    used."""
    config, sampled_features = section(job.recipe), list[Tensor]()
    turns, vectors = (0.0, *config.turned), job.recipe.vector_maps
    copies = len(job.training) * len(turns)
    most = math.ceil(config.entries / config.share / copies)
    levels = levels_of(config)
    grids = grids_of([teacher.graph.shapes(job.size)[level] for level in levels])
    patch_features = PatchFeatures(grids, config.patch).to(teacher.device)
    modality_parts = (replace(part, images={name: part.images[name]}) for part in job.training)
    turned_parts = (turned(part, degrees, vectors) for part in modality_parts for degrees in turns)
    steps = batches(turned_parts, BATCH)
    for parts in tracked(steps, f"{job.title}: features of {name}", math.ceil(copies / BATCH), job.console):
        images = torch.stack([torch.from_numpy(part.images[name]) for part in parts])
        pyramid = teacher(images.to(teacher.device))
        features = patch_features([pyramid[level] for level in levels])
        for part, cells in zip(parts, features.permute(0, 2, 3, 1).flatten(1, 2), strict=True):
            scored = scored_cells(part, grids[0])
            if len(scored) > most:
                scored = scored[torch.randperm(len(scored), generator=random)[:most]]
            sampled_features.append(cells[scored.to(teacher.device)])
    return torch.cat(sampled_features)


def _filled_bank(
    features: Tensor, channels: Sequence[int], name: str, job: FitJob, random: torch.Generator
) -> FeatureBank:
    """channels: of each level."""
    config, bank = section(job.recipe), FeatureBank(0, features.shape[1])
    bank.mean = features.mean().cpu()
    if config.balance:
        totals = [level.var(dim=0).sum().sqrt() for level in torch.split(features, list(channels), dim=1)]
        std = torch.cat([total.expand(count) for total, count in zip(totals, channels, strict=True)])
    else:
        std = features.std().expand(features.shape[1])
    bank.std = std.clamp_min(1e-12).cpu().clone()
    features = (features - bank.mean.to(features.device)) / bank.std.to(features.device)
    count = min(config.entries, math.ceil(config.share * len(features)))
    farthest = farthest_points(features, count, random)
    indices = list(tracked(farthest, f"{job.title}: bank of {name}", count, job.console))
    # of float16's digits, far finer than entries lie apart: the rest would be half of what a package stores of them
    bank.entries = features[torch.tensor(indices, device=features.device)].cpu().half().float()
    return bank
