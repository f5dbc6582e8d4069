"""Parts spread over workers of a Ray cluster, each with a detector of its own; results come back in order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

from rich.console import Console

from trd.cluster import Resources, connected, in_order
from trd.detector import BATCH, Detector
from trd.errors import RecipeError
from trd.predictions.parts import DetectorReference, Output, PartResult
from trd.preprocess.parts import batches
from trd.preprocess.threads import thread_count
from trd.types import SampleFiles

CHUNK = 2 * BATCH  # parts that a worker gets at once: whole batches, as one process makes them


class Worker:
    """The actor. The detector is loaded with the first chunk, so that what is wrong with it comes back as its error."""

    def __init__(self, reference: DetectorReference, output: Output, threads: int) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when what computes the maps is imported
        self._reference, self._output = reference, output

    @cached_property
    def _detector(self) -> Detector:
        return self._reference.load()

    def ready(self) -> None:
        """Answers when the cluster has found room for this worker."""

    def work(self, files: Sequence[SampleFiles]) -> list[PartResult]:
        return list(self._reference.results(self._detector, files, self._output))


@contextmanager
def results_of_workers(
    reference: DetectorReference, files: Sequence[SampleFiles], output: Output, console: Console
) -> Iterator[Iterator[PartResult]]:
    """Results in the order of `files`: one worker for each GPU; without GPUs as many as have `thread_count` cores each.

    Raises MissingExtraError where Ray is not installed, RecipeError where the cluster has not what is asked for.
    """
    with connected(reference.device) as resources:
        import ray

        count, threads = _shape(resources)
        # Scoring a part again changes nothing, so a lost worker is started anew, once.
        options: dict[str, Any] = {
            "num_cpus": threads, "num_gpus": int(resources.gpus > 0), "max_restarts": 1, "max_task_retries": 1
        }  # fmt: skip
        actor = ray.remote(**options)(Worker)
        if reference.device.startswith("cuda"):
            reference = replace(reference, device="cuda")  # a worker sees only its own GPU
        workers = [actor.remote(reference, output, threads) for _ in range(min(count, -(-len(files) // CHUNK)))]
        console.print(f"Ray: {len(files)} parts on {len(workers)} workers")
        yield chain.from_iterable(in_order(workers, batches(files, CHUNK)))


def _shape(resources: Resources) -> tuple[int, int]:
    """Number of workers, threads of each."""
    if resources.gpus:
        return resources.gpus, max(1, sum(resources.cores) // resources.gpus)
    threads = min(thread_count(), max(resources.cores))
    if not threads:
        raise RecipeError("no machine of the Ray cluster offers a CPU core: start one with --num-cpus")
    return sum(cores // threads for cores in resources.cores), threads
