"""Where jobs run: one after another here, or spread over GPUs and machines by Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from rich.console import Console

from trd.errors import RecipeError
from trd.extras import explained
from trd.reproduce.jobs import Job, Outcome, run_job


def sequential(jobs: Sequence[Job], device: str, console: Console) -> Iterator[tuple[Job, Outcome]]:
    """One after another, with each training's own progress."""
    for job in jobs:
        console.print(job.title, style="bold", markup=False)
        yield job, run_job(job, device, console)


def ray_cluster(jobs: Sequence[Job], device: str, console: Console) -> Iterator[tuple[Job, Outcome]]:
    """As many at once as there are GPUs in the Ray cluster, without GPUs as CPU cores / threads of one job.

    Takes the cluster that RAY_ADDRESS names, else one on this machine. All machines must see `data` and `out` under
    the same paths. Yields jobs as they finish. Raises MissingExtraError when Ray is not installed.
    """
    with explained("--executor ray"):
        import ray

    ray.init(ignore_reinit_error=True, log_to_driver=False, configure_logging=False)
    try:
        gpus = ray.cluster_resources().get("GPU", 0) > 0 and device != "cpu"
        threads = 1 if gpus else torch.get_num_threads()
        if device.startswith("cuda") and not gpus:
            raise RecipeError(f"--device {device}: the Ray cluster has no GPU")
        where = "cuda" if gpus else "cpu"  # a worker sees only its own GPU
        console.print(f"Ray: {ray.cluster_resources().get('GPU', 0):.0f} GPUs, {len(jobs)} jobs on {where}")
        # no retries: a lost worker is reported, and the same command goes on from its checkpoint
        options: dict[str, Any] = {"num_gpus": int(gpus), "num_cpus": threads, "max_retries": 0}
        remote = ray.remote(**options)(_with_threads)
        waiting = {remote.remote(job, where, threads): job for job in jobs}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(done)
            try:
                outcome = ray.get(done)
            except ray.exceptions.RayError as error:
                outcome = Outcome(0.0, f"the worker was lost: {str(error).splitlines()[0]}", str(error))
            yield job, outcome
    finally:
        ray.shutdown()


def _with_threads(job: Job, device: str, threads: int) -> Outcome:
    if device == "cpu":
        torch.set_num_threads(threads)
    return run_job(job, device)


EXECUTORS = {"local": sequential, "ray": ray_cluster}
