"""Preparation on several cores: its libraries compute outside the interpreter's lock, so threads do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, TypeVar

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
    groups = ([pool.submit(function, item) for item in batch] for batch in batches(items, max(group, threads * ahead)))
    pending: list[Future[Result]] = []
    try:
        for futures in _one_ahead(_noted(groups, pending)) if ahead else _noted(groups, pending):
            wait(futures)
            for future in futures:
                yield future.result()
    finally:
        for future in pending:
            future.cancel()  # what nobody asks for any more is not begun


def _noted(groups: Iterator[list[Future[Result]]], pending: list[Future[Result]]) -> Iterator[list[Future[Result]]]:
    """The same groups; `pending` holds the futures of the last two."""
    for futures in groups:
        pending[:] = [*pending[-len(futures) :], *futures]
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


class Steps:
    """What there is to do for one sample, in an order in which each step needs nothing but results of earlier ones.

    The caller's thread and free ones of the shared pool, `thread_count` in all, take the next step each. Nobody ever
    waits for a thread, only for steps that another one is at: where all are taken, as when many samples are prepared at
    once, the caller does the whole work in order. So a step may have steps of its own.
    """

    def __init__(self) -> None:
        self._results: list[Future[Any]] = []
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def add(self, step: Callable[[], Result]) -> Future[Result]:
        """Its result, which later steps may ask for, and everybody after `run`."""
        result: Future[Result] = Future()
        self._results.append(result)
        self._waiting.append((result, step))
        return result

    def run(self, alone: bool = False) -> None:
        """Do all steps; alone: in order, by the caller's thread only. After an error no more are begun; the first one
        in their order is raised."""
        pool = _pool(thread_count())
        helpers = [pool.submit(self._take) for _ in range(0 if alone else min(thread_count(), len(self._waiting)) - 1)]
        try:
            self._take()
        except BaseException:  # Ctrl-C between two steps
            for result in self._results:
                result.cancel()  # so that no other thread waits for what was not done
            raise
        finally:
            for helper in helpers:
                helper.cancel()
        for result in self._results:
            result.result()

    def _take(self) -> None:
        while True:
            try:
                result, step = self._waiting.popleft()
            except IndexError:
                return
            try:
                result.set_result(step())
            except BaseException as error:  # also Ctrl-C, which `run` raises
                self._waiting.clear()
                result.set_exception(error)
