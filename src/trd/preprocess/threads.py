"""Preparation on several cores: its libraries compute outside the interpreter's lock, so threads do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

from trd.preprocess.parts import batches

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count() -> int:
    """OMP_NUM_THREADS where it is set, which is also what PyTorch takes; else the cores that this process may use."""
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if text.isdecimal() and int(text):
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """One for the whole process, so that many callers at once do not take more cores than there are."""
    return ThreadPoolExecutor(threads, thread_name_prefix="trd-preparation")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], group: int = 8, ahead: bool = False
) -> Iterator[Result]:
    """`function` of each item, in order, computed in `thread_count` threads that all callers share.

    A group is finished before its first result is given away and the next one is begun when that is asked for: at most
    `group` results are held, and nothing runs beside what the caller does with them (a network would crawl). An item's
    error is raised in its place, after the results before it.

    ahead: for callers who compute on a GPU. Groups have at least an item for each thread, and the next one is worked on
    while the caller uses the results of this one.
    """
    threads = thread_count()
    pool = _pool(threads)
    groups = ([pool.submit(function, item) for item in one] for one in batches(items, max(group, threads * ahead)))
    begun: list[Future[Result]] = []
    try:
        for futures in _one_ahead(_noted(groups, begun)) if ahead else _noted(groups, begun):
            wait(futures)
            for future in futures:
                yield future.result()
    finally:
        for future in begun:
            future.cancel()  # what nobody asks for any more is not begun


def _noted(groups: Iterator[list[Future[Result]]], begun: list[Future[Result]]) -> Iterator[list[Future[Result]]]:
    """The same groups; `begun` holds the futures of the last two."""
    for futures in groups:
        begun[:] = [*begun[-len(futures) :], *futures]
        yield futures


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
