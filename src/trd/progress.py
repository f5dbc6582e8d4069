"""Progress bars on terminals, and now and then a line elsewhere: a log file, a pipe. A listener gets every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

Item = TypeVar("Item")
LINE_EVERY = 30.0  # seconds

Listener = Callable[[str, int, int], None]
"""Called with a stage's title, the steps that are done, and all of them."""

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside, `listener` hears of every step in this process, in the thread that does it."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def step(title: str, done: int, total: int) -> None:
    for listener in _listeners:
        listener(title, done, total)


def tracked(items: Iterable[Item], title: str, total: int, console: Console) -> Iterator[Item]:
    """The same items; done and time left are shown while they are asked for."""
    items = _heard(items, title, total)
    if console.is_terminal and not console.quiet:
        yield from track(items, escape(title), total, console=console, transient=True)
        return
    begin = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - last >= LINE_EVERY:
            last = now
            seconds_left = (now - begin) / done * (total - done)
            console.print(f"{title}: {done} of {total}, {seconds_left:.0f} s left", markup=False, highlight=False)
        yield item


def _heard(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    step(title, 0, total)
    for done, item in enumerate(items):
        yield item
        step(title, done + 1, total)
