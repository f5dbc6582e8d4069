"""Work spread over a Ray cluster: joining one, what it has, and results in order."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trd.errors import RecipeError, TRDError
from trd.extras import explained


@dataclass(frozen=True)
class Resources:
    """cores: of each machine. gpus: of all together that may be used."""

    cores: tuple[int, ...]
    gpus: int


@contextmanager
def connected(device: str) -> Iterator[Resources]:
    """Takes the cluster that RAY_ADDRESS names, else one on this machine, which ends with the block.

    device: as the command line has it; "cpu" leaves GPUs alone. Raises MissingExtraError where Ray is not installed,
    RecipeError where there is no GPU for a device that asks for one, or no cluster at RAY_ADDRESS.
    """
    with explained("--executor ray"):
        import ray

    joined_before = ray.is_initialized()
    try:
        with _preserved_sigterm():
            ray.init(ignore_reinit_error=True, log_to_driver=False, configure_logging=False)
    except ConnectionError as error:
        raise RecipeError(f"no Ray cluster answers at the address in RAY_ADDRESS: {error}") from error
    try:
        node_resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = 0 if device == "cpu" else int(sum(node.get("GPU", 0) for node in node_resources))
        if device.startswith("cuda") and not gpus:
            raise RecipeError(f"--device {device}: the Ray cluster has no GPU")
        yield Resources(tuple(int(node.get("CPU", 0)) for node in node_resources), gpus)
    finally:
        if not joined_before:
            ray.shutdown()


@contextmanager
def _preserved_sigterm() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and the caller's handler would not be asked."""
    if threading.current_thread() is not threading.main_thread():  # only the main one may take signals
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def in_order(workers: Sequence[Any], chunks: Iterable[Any], ahead: int = 4) -> Iterator[Any]:
    """What `worker.work(chunk)` returns, chunk after chunk in the order given, whichever worker had it.

    workers: handles of actors with the methods `ready` and `work`; one that the cluster has no room for yet gets no
    chunk. ahead: chunks for each worker that are begun before the first result not given away; they wait in the
    cluster's memory. Raises what TRDError a worker raises, and TRDError where one was lost.
    """
    import ray

    busy = {worker.ready.remote(): worker for worker in workers}  # by the answer that they owe
    idle: deque[Any] = deque()
    results: deque[Any] = deque()  # results not given away yet, in order
    remaining, exhausted = iter(chunks), False
    while True:
        while idle and not exhausted and len(results) < ahead * len(workers):
            chunk = next(remaining, None)
            exhausted = chunk is None
            if not exhausted:
                worker = idle.popleft()
                results.append(worker.work.remote(chunk))
                busy[results[-1]] = worker
        if results and results[0] not in busy:
            yield _result(results.popleft())
        elif not results and exhausted:
            return
        else:
            (finished,), _ = ray.wait(list(busy), num_returns=1, fetch_local=False)
            idle.append(busy.pop(finished))


def _result(reference: Any) -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TRDError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise TRDError(f"{lost(error)}; the same command goes on after what is done") from error


def lost(error: Exception) -> str:
    """What Ray says of a worker that is gone, in a line."""
    return f"the worker was lost: {str(error).splitlines()[0]}"
