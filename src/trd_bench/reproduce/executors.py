"""Where jobs run: one after another here, or spread over GPUs and machines by Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from rich.console import Console

from trd.cluster import connected, lost
from trd_bench.reproduce.jobs import Job, Outcome, run_job


def sequential(jobs: Sequence[Job], device: str, console: Console) -> Iterator[tuple[Job, Outcome]]:
    """One after another, with each training's own progress."""
    for job in jobs:
        console.print(job.title, style="bold", markup=False)
        yield job, run_job(job, device, console)


def ray_cluster(jobs: Sequence[Job], device: str, console: Console) -> Iterator[tuple[Job, Outcome]]:
    """As many at once as there are GPUs in the Ray cluster, without GPUs as CPU cores / threads of one job.

    The cluster is `trd.cluster.connected`'s. All machines must see `data` and `out` under the same paths. Yields jobs
    as they finish. Raises MissingExtraError when Ray is not installed.
    """
    with connected(device) as resources:
        import ray

        gpus = resources.gpus > 0
        threads = 1 if gpus else torch.get_num_threads()
        device_name = "cuda" if gpus else "cpu"  # a worker sees only its own GPU
        console.print(f"Ray: {resources.gpus} GPUs, {len(jobs)} jobs on {device_name}")
        # no retries: a lost worker is reported, and the same command goes on from its checkpoint
        options: dict[str, Any] = {"num_gpus": int(gpus), "num_cpus": threads, "max_retries": 0}
        remote = ray.remote(**options)(_with_threads)
        waiting = {remote.remote(job, device_name, threads): job for job in jobs}
        while waiting:
            (finished,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(finished)
            try:
                outcome = ray.get(finished)
            except ray.exceptions.RayError as error:
                outcome = Outcome(0.0, lost(error), str(error))
            yield job, outcome


def _with_threads(job: Job, device: str, threads: int) -> Outcome:
    if device == "cpu":
        torch.set_num_threads(threads)
    return run_job(job, device)


EXECUTORS = {"local": sequential, "ray": ray_cluster}
