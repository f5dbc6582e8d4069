"""Progress bars on terminals, and now and then a line elsewhere: a log file, a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

Item = TypeVar("Item")
LINE_EVERY = 30.0  # seconds


def tracked(items: Iterable[Item], title: str, total: int, console: Console) -> Iterator[Item]:
    """The same items; done and time left are shown while they are asked for."""
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
