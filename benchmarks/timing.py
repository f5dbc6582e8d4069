"""How `run.py` takes times: two ways of doing the same in turns, one way alone, and where the time goes."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

WARM_UP = 3 if torch.cuda.is_available() else 1  # CUDA graphs: compiled in the first call, recorded in the second


def compare(
    title: str, plain: Callable[[], object], ours: Callable[[], object], repeats: int, per: int = 1
) -> tuple[float, float]:
    """Alternate both, print and return their medians in ms per unit (`per` units a call)."""
    for _ in range(WARM_UP):
        plain(), ours()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, kept in zip((plain, ours), times, strict=True):
            begin = time.perf_counter()
            function()
            kept.append((time.perf_counter() - begin) * 1000 / per)
    slow, fast = (float(np.median(values)) for values in times)
    print(f"  {title:58s} {slow:9.1f} ms {fast:9.1f} ms   {slow / fast:6.1f} x   ({1000 / fast:.1f} per second)")
    return slow, fast


def timed(work: Callable[[], object], repeats: int = 5) -> float:
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return float(np.median(times))


def shares(work: Callable[[], object], gpu: bool, rows: int = 10) -> None:
    """Where the time goes: operations by their own share of the processor's time."""
    work()
    kinds = [torch.profiler.ProfilerActivity.CPU, *([torch.profiler.ProfilerActivity.CUDA] if gpu else [])]
    with torch.profiler.profile(activities=kinds) as measured:
        work()

    def own(event) -> float:
        return event.self_device_time_total if gpu else event.self_cpu_time_total

    events = sorted(measured.key_averages(), key=own, reverse=True)
    total = sum(map(own, events))
    for event in events[:rows]:
        print(f"    {own(event) / total:6.1%} {event.key} ({event.count} calls)")
