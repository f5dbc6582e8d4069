"""What happens, told to everyone who listens: readers in the event loop, each with a bounded queue."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

WAITING = 200  # messages for a reader that does not keep up; then it loses its connection


@dataclass(frozen=True)
class Message:
    """class_name: "" for all. id: of an inspection."""

    event: str
    data: dict[str, Any]
    class_name: str = ""
    id: int | None = None

    def encoded(self) -> bytes:
        number = f"id: {self.id}\n" if self.id is not None else ""
        data = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return f"event: {self.event}\n{number}data: {data}\n\n".encode()


class Reader:
    """None in its queue: it did not keep up, or the station stops."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(WAITING + 1)

    def offer(self, message: Message) -> None:
        if message.class_name and self.class_name and message.class_name != self.class_name:
            return
        if self.queue.qsize() < WAITING:
            self.queue.put_nowait(message)
        elif self.queue.qsize() == WAITING:
            self.queue.put_nowait(None)


class Live:
    """`publish` from any thread; readers come and go in the event loop that was given to `attach`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers: set[Reader] = set()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def publish(self, message: Message) -> None:
        if self._loop is not None and self._readers and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, message)

    def _tell(self, message: Message) -> None:
        for reader in list(self._readers):
            reader.offer(message)

    def enter(self, class_name: str = "") -> Reader:
        reader = Reader(class_name)
        self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def end(self) -> None:
        """In the event loop: all connections end."""
        for reader in list(self._readers):
            if reader.queue.qsize() <= WAITING:
                reader.queue.put_nowait(None)

    @property
    def readers(self) -> int:
        return len(self._readers)
