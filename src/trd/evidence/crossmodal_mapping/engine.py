"""State -> engine."""

from __future__ import annotations

import torch

from trd.config import Recipe
from trd.engines.base import Placement
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.out_of_memory import PREDICTION_REMEDY, full_memory_said
from trd.engines.pytorch.precision import prediction_dtype, resolve_device
from trd.evidence.crossmodal_mapping.config import section
from trd.evidence.crossmodal_mapping.mappings import CrossmodalMappings
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.state import fill
from trd.types import State


def mapping_engine(recipe: Recipe, state: State, placement: Placement) -> PyTorchEngine:
    """`Method.engine`."""
    device = torch.device(resolve_device(placement.device))
    dtype = prediction_dtype(placement.precision or section(recipe).training.precision, device)
    module = restored(recipe, state)
    with full_memory_said(PREDICTION_REMEDY):
        module.to(device).requires_grad_(False)
        module.teacher.made_ready(device, placement.compiled)
        module.mappings.to(dtype)
        module.dtype = dtype
        if placement.compiled:
            for mapping in module.mappings:
                mapping.compile()
    form = "torch.compile" if placement.compiled else "eager"
    return PyTorchEngine(module, device, dtype, form)


def restored(recipe: Recipe, state: State) -> CrossmodalMappings:
    """Of a state, on the CPU. Raises CheckpointError where the state does not fit the recipe."""
    with WithoutInitialisation():
        module = CrossmodalMappings(recipe, load_teacher=False)
    fill(module, state)
    return module
