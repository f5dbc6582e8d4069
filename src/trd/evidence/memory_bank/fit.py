"""Good parts -> banks."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from trd.engines.pytorch.out_of_memory import full_memory_said
from trd.engines.pytorch.precision import resolve_device
from trd.evidence.base import FitJob
from trd.evidence.memory_bank.banks import Bank, MemoryBanks, bank_name
from trd.evidence.memory_bank.config import section
from trd.evidence.memory_bank.neighbours import farthest_points
from trd.evidence.repeatable import repeatable
from trd.evidence.state import tensors_of
from trd.preprocess.parts import batches
from trd.progress import tracked
from trd.teachers.frozen import scored_cells
from trd.types import State

BATCH = 8
REMEDY = "set method.entries lower, or a smaller frame.size, or take --device cpu"


def fit_banks(job: FitJob) -> State:
    """`Method.fit`. Takes seconds to minutes, so that an interrupted one begins again; the seed decides all of it."""
    recipe, device = job.recipe, torch.device(resolve_device(job.device))
    random = torch.Generator().manual_seed(recipe.seed)
    with full_memory_said(REMEDY), repeatable(recipe.seed, True), torch.no_grad():
        module = MemoryBanks(recipe, dict.fromkeys(recipe.modalities, 0)).eval()
        module.teacher.made_ready(device)
        for name in recipe.modalities:
            bank = cast(Bank, module.banks[bank_name(name)])
            _fill_bank(bank, _training_features(module, name, job, device, random), name, job, random)
        return tensors_of(module)


def _training_features(
    module: MemoryBanks, name: str, job: FitJob, device: torch.device, random: torch.Generator
) -> Tensor:
    """(N, C) of the scored cells of one modality, on `device`; of each part at most its share of what is used."""
    config, chosen = section(job.recipe), list[Tensor]()
    most = math.ceil(config.entries / config.share / len(job.training))
    steps = batches(job.training, BATCH)
    for parts in tracked(steps, f"{job.title}: features of {name}", math.ceil(len(job.training) / BATCH), job.console):
        images = torch.stack([torch.from_numpy(part.images[name]) for part in parts])
        features = module.features(images.to(device))
        size = (features.shape[2], features.shape[3])
        for part, cells in zip(parts, features.permute(0, 2, 3, 1).flatten(1, 2), strict=True):
            scored = scored_cells(part, size)
            if len(scored) > most:
                scored = scored[torch.randperm(len(scored), generator=random)[:most]]
            chosen.append(cells[scored.to(device)])
    return torch.cat(chosen)


def _fill_bank(bank: Bank, features: Tensor, name: str, job: FitJob, random: torch.Generator) -> None:
    config = section(job.recipe)
    bank.mean = features.mean().cpu()
    bank.std = features.std().clamp_min(1e-12).cpu()
    features = (features - bank.mean.to(features.device)) / bank.std.to(features.device)
    count = min(config.entries, math.ceil(config.share * len(features)))
    found = farthest_points(features, count, random)
    chosen = list(tracked(found, f"{job.title}: bank of {name}", count, job.console))
    bank.entries = features[torch.tensor(chosen, device=features.device)].cpu()
