"""State -> engine."""

from __future__ import annotations

import torch

from trd.config import Recipe
from trd.engines.base import Placement
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.out_of_memory import PREDICTION_REMEDY, full_memory_said
from trd.engines.pytorch.precision import prediction_dtype, resolve_device
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.memory_bank.banks import MemoryBanks, bank_name
from trd.evidence.memory_bank.config import section
from trd.evidence.state import fill
from trd.types import State


def bank_engine(recipe: Recipe, state: State, placement: Placement) -> PyTorchEngine:
    """`Method.engine`."""
    device = torch.device(resolve_device(placement.device))
    dtype = prediction_dtype(placement.precision or section(recipe).precision, device)
    module = restored(recipe, state)
    module.product = dtype
    with full_memory_said(PREDICTION_REMEDY):
        module.to(device)
        module.teacher.made_ready(device, placement.compiled)
    form = "torch.compile of the teacher" if placement.compiled else "eager"
    return PyTorchEngine(module, device, dtype, form)


def restored(recipe: Recipe, state: State) -> MemoryBanks:
    """Of a state, on the CPU. Raises CheckpointError where the state does not fit the recipe."""
    entries = {name: state.get(f"banks.{bank_name(name)}.entries") for name in recipe.modalities}
    with WithoutInitialisation():
        counts = {name: 1 if value is None else len(value) for name, value in entries.items()}
        module = MemoryBanks(recipe, counts, load_teacher=False)
    fill(module, state)
    return module
