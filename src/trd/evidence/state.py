"""A module's tensors as an evidence's state, and back."""

from __future__ import annotations

import torch
from torch import nn

from trd.errors import CheckpointError
from trd.types import State


def tensors_of(module: nn.Module, prefix: str = "") -> State:
    """All tensors by name, `prefix` before it; on CPUs they share memory with the module."""
    return {prefix + name: tensor.detach().cpu().contiguous().numpy() for name, tensor in module.state_dict().items()}


def fill(module: nn.Module, state: State, prefix: str = "") -> None:
    """Put the state's tensors whose names begin with `prefix` in place of the module's, which share their memory then.

    Raises CheckpointError where one is missing, left over or of another shape.
    """
    tensors = {
        name.removeprefix(prefix): torch.from_numpy(value) for name, value in state.items() if name.startswith(prefix)
    }
    for name, parameter in module.named_parameters():
        if name in tensors:  # `assign` takes the tensor as it is
            tensors[name].requires_grad_(parameter.requires_grad)
    try:
        module.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"the weights do not fit the recipe: {error}") from error
