"""Sign-ins that were refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from trd_station.store.verdicts import NewEvent

EVENT_EVERY = 60.0  # seconds

log = logging.getLogger("trd")


class RefusedSignIns:
    """Logged each time; an event at most once a minute, as whoever tries all tokens would fill the database."""

    def __init__(self, report: Callable[[NewEvent], object]) -> None:
        self._report = report
        self._event_at = -EVENT_EVERY

    def note(self, address: str) -> None:
        log.warning("a token was refused at the sign-in, from %s", address)
        now = time.monotonic()
        if now - self._event_at >= EVENT_EVERY:
            self._event_at = now
            self._report(NewEvent("warning", "sign_in", f"a token was refused at the sign-in, from {address}"))
