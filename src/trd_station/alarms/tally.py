"""How the last parts of a class went, as its rules ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from trd_station.alarms.rules import LONGEST_WINDOW, ClassRules
from trd_station.store.schema import DECISIONS

REJECT, INVALID = DECISIONS.index("reject"), DECISIONS.index("invalid")
REJECTS, RATE, UNUSABLE = "rejects", "reject_rate", "invalid"  # kinds of alarm


class Tally:
    """Of one class; each count begins anew with `reset`."""

    def __init__(self) -> None:
        self._rejects = self._invalid = 0
        self._rejected: deque[bool] = deque(maxlen=LONGEST_WINDOW)  # of the parts that could be judged

    def add(self, kinds: tuple[str, ...], decision: int) -> None:
        """A part's decision, for the counts of these kinds."""
        invalid = decision == INVALID
        if UNUSABLE in kinds:
            self._invalid = self._invalid + 1 if invalid else 0
        if invalid:
            return  # says nothing of the parts before and after
        if REJECTS in kinds:
            self._rejects = self._rejects + 1 if decision == REJECT else 0
        if RATE in kinds:
            self._rejected.append(decision == REJECT)

    def reset(self, kind: str) -> None:
        if kind == REJECTS:
            self._rejects = 0
        elif kind == UNUSABLE:
            self._invalid = 0
        elif kind == RATE:
            self._rejected.clear()

    def broken(self, rules: ClassRules, row: Mapping[str, Any]) -> dict[str, str]:
        """Kind -> what is wrong after the part of this row."""
        faults = {}
        if rules.rejects_in_row and self._rejects >= rules.rejects_in_row:
            faults[REJECTS] = f"{self._rejects} parts in a row were rejected"
        if rules.invalid_in_row and self._invalid >= rules.invalid_in_row:
            faults[UNUSABLE] = f"{self._invalid} parts in a row could not be judged: {row.get('reason') or 'no reason'}"
        window = rules.reject_window
        if rules.reject_rate and len(self._rejected) >= window:
            rejected = sum(list(self._rejected)[-window:])
            if rejected > rules.reject_rate * window:
                share = f"more than {rules.reject_rate:.0%}"
                faults[RATE] = f"{rejected} of the last {window} parts were rejected, {share}"
        return faults
