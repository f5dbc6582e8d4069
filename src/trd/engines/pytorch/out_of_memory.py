"""What to do when a GPU's memory is full, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trd.errors import TRDError

TRAINING_REMEDY = "set training.accumulate=2 or more, or training.feature_memory=0, or a smaller frame.size"
PREDICTION_REMEDY = "close what else uses the GPU, predict fewer parts at once, or take --device cpu"


@contextmanager
def explained_out_of_memory(remedy: str) -> Iterator[None]:
    """Turns PyTorch's out-of-memory error into a TRDError with the remedy."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TRDError(f"the GPU's memory is full ({str(error).splitlines()[0]}): {remedy}") from error
