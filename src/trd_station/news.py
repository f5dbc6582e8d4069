"""What happened, told in order and in a thread of its own: no listener holds back the line."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial

from trd_station.live import Message

Listener = Callable[[Message], None]

log = logging.getLogger("trd")


class News:
    """listeners: get every message; one that fails holds back no other. May be changed while it runs."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="station-news", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After what was put before."""
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def put(self, work: Callable[[], None]) -> None:
        """Done after what was put before."""
        self._queue.put(work)

    def tell(self, message: Message) -> None:
        """`tell_now`, after what was put before."""
        self.put(partial(self.tell_now, message))

    def tell_now(self, message: Message) -> None:
        for listener in list(self.listeners):
            try:
                listener(message)
            except Exception:
                log.exception("an output failed")

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("what followed a part failed")
