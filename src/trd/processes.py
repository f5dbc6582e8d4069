"""Which of several processes this is: `torchrun` starts some that train one class together, on a GPU each.

The first process does everything else: it reports, writes, calibrates and evaluates. Without torchrun there is one.
"""

from __future__ import annotations

import os


def _variable(name: str, alone: int) -> int:
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else alone


def count() -> int:
    """On all machines together."""
    return _variable("WORLD_SIZE", 1)


def count_here() -> int:
    """On this machine."""
    return _variable("LOCAL_WORLD_SIZE", 1)


def rank() -> int:
    """0 to `count() - 1`."""
    return _variable("RANK", 0)


def rank_here() -> int:
    """0 to `count_here() - 1`: also the number of the GPU."""
    return _variable("LOCAL_RANK", 0)
