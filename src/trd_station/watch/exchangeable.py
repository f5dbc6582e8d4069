"""Has anything changed? A sequential test with a stated false-alarm rate, valid from the first part on.

Each value is ranked among all before it. As long as the parts are exchangeable (drawn alike, in any order) these ranks,
ties broken at random, are independent and uniform, whatever the values' distribution and however few there are: no
calibration set is taken for the truth. Money is bet against that (a test martingale: Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World): fair bets on small or on large ranks, begun at every moment with a share of
the capital that falls slowly, so that a late change is found too. By Ville's inequality a capital that begins at 1 ever
reaches 1 / rate with probability at most `rate`, over any number of parts.

After MOST values ranking begins anew among those that follow. The order within one block of exchangeable values says
nothing of the order within another, so all ranks stay independent, and the capital goes on: no second rate is spent.
"""

from __future__ import annotations

import bisect
import io
import math

import numpy as np
from numpy.typing import NDArray

START = 20  # values before bets begin: among fewer no rank is extreme
POWERS = np.array([0.1, 0.3, 0.5, 0.7])  # a bet on small ranks p pays e * p ** (e - 1)
TAIL = 1.2  # the share that is bet from the k-th rank on falls with k ** -TAIL
TAIL_SUM = 5.591582441177751  # zeta(1.2), so that all shares add up to 1
SMALLEST = 1e-12
MOST = 50_000  # values that are ranked among; then a block begins anew, or the test would grow without end


class ExchangeabilityTest:
    """Feed `add` with values in the order in which they come; `log10_evidence` is the capital.

    seed: of the ties. Not safe for several threads.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.count = 0
        self._ranks = 0
        self._sorted: list[float] = []
        self._bets: NDArray[np.float64] = np.full(2 * len(POWERS), -np.inf)  # logarithms of each bet's capital
        self._unbet = 1.0  # of the capital, not bet yet

    def add(self, value: float) -> None:
        """Raises ValueError for a value that is not finite."""
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be ranked")
        if len(self._sorted) >= MOST:
            self._sorted.clear()
        self.count += 1
        if len(self._sorted) >= START:
            self._bet(self._rank(value))
        bisect.insort(self._sorted, value)

    def _rank(self, value: float) -> float:
        """Uniform in (0, 1) where nothing has changed."""
        low, high = bisect.bisect_left(self._sorted, value), bisect.bisect_right(self._sorted, value)
        tie = np.random.default_rng([self.seed, self.count]).random()
        return float((low + tie * (high - low + 1)) / (len(self._sorted) + 1))

    def _bet(self, rank: float) -> None:
        self._ranks += 1
        share = self._ranks**-TAIL / TAIL_SUM
        self._unbet -= share
        sides = np.log(np.clip([rank, 1 - rank], SMALLEST, 1))
        gains = (np.log(POWERS) + (POWERS - 1) * sides[:, None]).ravel()
        self._bets = np.logaddexp(self._bets, math.log(share / len(self._bets))) + gains

    @property
    def log10_evidence(self) -> float:
        total = np.logaddexp.reduce(np.append(self._bets, math.log(max(self._unbet, 1e-300))))
        return float(total / math.log(10))

    def quantiles(self, low: float, high: float) -> tuple[float, float] | None:
        """Of all values of this block so far; None where there are none."""
        if not self._sorted:
            return None
        last = len(self._sorted) - 1
        return self._sorted[round(low * last)], self._sorted[round(high * last)]

    def to_bytes(self) -> bytes:
        data = io.BytesIO()
        state = np.array([self.seed, self.count, self._ranks, self._unbet], np.float64)
        np.savez(data, state=state, bets=self._bets, values=np.array(self._sorted, np.float64))
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> ExchangeabilityTest:
        """Raises ValueError for what `to_bytes` does not write."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                test = cls(int(stored["state"][0]))
                test.count, test._ranks = int(stored["state"][1]), int(stored["state"][2])
                test._unbet = float(stored["state"][3])
                test._bets, test._sorted = stored["bets"], stored["values"].tolist()
        except (OSError, KeyError, IndexError, ValueError) as error:
            raise ValueError(f"not the state of a test: {error!r}") from error
        return test
