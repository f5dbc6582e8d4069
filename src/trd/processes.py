"""Which of several processes this is: `torchrun` starts some that train one class together, on a GPU each.

The first process does everything else: it reports, writes, calibrates and evaluates. Without torchrun there is one.
"""

from __future__ import annotations

import os
import sys


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


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far, in MiB; None on Windows, which has no such call in Python."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB elsewhere
