"""Preparation on several cores: its libraries compute outside the interpreter's lock, so threads do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from trd.preprocess.dataset import batches

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], group: int = 8, ahead: bool = False
) -> Iterator[Result]:
    """`function` of each item, in order, computed by as many threads as PyTorch would use (OMP_NUM_THREADS).

    A group is finished before its first result is given away and the next one is begun when that is asked for: at most
    `group` results are held, and nothing runs beside what the caller does with them (a network would crawl). An item's
    error is raised in its place, after the results before it.

    ahead: for callers who compute on a GPU. Groups have at least an item for each thread, and the next one is worked on
    while the caller uses the results of this one.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        groups = ([pool.submit(function, item) for item in one] for one in batches(items, max(group, threads * ahead)))
        try:
            for futures in _one_ahead(groups) if ahead else groups:
                wait(futures)
                for future in futures:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # what nobody asks for any more is not begun


def _one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; the next one is taken before this one is given away. An error comes in its place all the same."""
    try:
        current = next(items)
    except StopIteration:
        return
    while True:
        try:
            following = next(items)
        except StopIteration:
            yield current
            return
        except Exception:
            yield current
            raise
        yield current
        current = following
