"""A running station's settings, as they are changed on the page, by the command or in their file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from trd.errors import DataError
from trd_station.kept_settings import KeptSettings, changes, keep, read_kept
from trd_station.settings import Settings
from trd_station.store.verdicts import NewEvent


class CurrentSettings:
    """Settings of a running station. taken: gets those that are in force from then on."""

    def __init__(
        self, settings: Settings, taken: Callable[[Settings], None], report: Callable[[NewEvent], Any]
    ) -> None:
        self.now = settings
        self._taken, self._report = taken, report
        self._changing = threading.RLock()
        self._fault = ""

    def change(self, values: KeptSettings, who: str) -> None:
        """From the next part on, and over the next start. Raises DataError, OutputError."""
        with self._changing:
            keep(self.now.data, values)
            self._take(f" by {who}")

    def reread(self) -> None:
        """The file, which the command changes too; one that cannot be read changes nothing, and is told once."""
        try:
            self._take()
            self._fault = ""
        except DataError as error:
            if str(error) != self._fault:
                self._report(NewEvent("warning", "settings", str(error)))
            self._fault = str(error)

    def _take(self, by: str = "") -> None:
        with self._changing:
            before, self.now = self.now, replace(self.now, **read_kept(self.now.data).given())
            self._taken(self.now)
        if changed := changes(before, self.now):
            self._report(NewEvent("info", "settings", f"settings were changed{by}: {', '.join(map(str, changed))}"))
