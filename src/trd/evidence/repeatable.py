"""Seeded, repeatable computation."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Seeded, with algorithms that repeat to the bit; afterwards the caller's choice holds again."""
    torch.manual_seed(seed)
    with deterministic(True):
        yield


@contextmanager
def deterministic(enabled: bool, compiled: bool = False) -> Iterator[None]:
    """Whether algorithms must repeat to the bit; afterwards the caller's choice holds again.

    compiled: what `torch.compile` makes must, too.
    """
    choice: Any = torch.utils.deterministic  # a module with a property, of which its types say nothing
    before = torch.are_deterministic_algorithms_enabled(), choice.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on GPUs need it
    _choose(enabled, compiled)
    # Filling every fresh tensor with NaN guards against reading unset memory, which nothing here does, and costs time.
    choice.fill_uninitialized_memory = False
    try:
        yield
    finally:
        _choose(before[0], compiled)
        choice.fill_uninitialized_memory = before[1]


def _choose(enabled: bool, compiled: bool) -> None:
    if compiled or "torch._inductor" in sys.modules:
        torch.use_deterministic_algorithms(enabled)
    else:  # the same but for the compiler, which that one imports: seconds of every training process
        torch.set_deterministic_debug_mode("error" if enabled else "default")
