"""Progress bars on terminals; nothing where the output is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track

Item = TypeVar("Item")


def tracked(items: Iterable[Item], title: str, total: int, console: Console) -> Iterator[Item]:
    """The same items; done, rate and time left are shown while they are asked for."""
    if not console.is_terminal or console.quiet:
        yield from items
        return
    yield from track(items, escape(title), total, console=console, transient=True)
