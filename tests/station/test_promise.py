"""What may recalibrate: a simulation of lines, in which the limits' promise is checked on further good parts."""

import numpy as np
import pytest

from trd_station.deciding import limits_for

RATE = 0.05
LINES = 400


def false_alarms(choose, seed: int) -> float:
    """Mean share of further good parts above limits that each line makes of the good parts `choose` lets it use."""
    rng = np.random.default_rng(seed)
    shares = []
    for _ in range(LINES):
        scores = rng.gamma(4.0, 0.5, 4000)  # of good parts at a line; its old limit rejects 5 %, reviews 10 %
        old = limits_for(rng.gamma(4.0, 0.5, 99).tolist(), RATE, 2 * RATE)
        chosen = choose(scores, old, rng)
        if len(chosen) >= 2:
            new = limits_for(chosen.tolist(), RATE, 2 * RATE)
            shares.append(float((rng.gamma(4.0, 0.5, 2000) > new.reject_above).mean()))
    return float(np.mean(shares))


def sampled(scores: np.ndarray, _, rng: np.random.Generator) -> np.ndarray:
    return scores[rng.random(len(scores)) < 0.03]


def flagged(scores: np.ndarray, old, _) -> np.ndarray:
    return scores[scores > old.review_above]


def accepted_audit(scores: np.ndarray, old, rng: np.random.Generator) -> np.ndarray:
    return scores[(rng.random(len(scores)) < 0.03) & (scores <= old.review_above)]


def test_sampled_parts_keep_the_promise() -> None:
    assert false_alarms(sampled, 1) == pytest.approx(RATE, abs=0.006)


def test_flagged_parts_break_it() -> None:
    """The good ones among flagged parts score high: the limit goes up, and defects below it pass."""
    assert false_alarms(flagged, 2) < RATE / 5


def test_an_audit_of_accepted_parts_alone_breaks_it_too() -> None:
    """They all lie below the old limit: too many good parts are rejected, more with every recalibration."""
    assert false_alarms(accepted_audit, 3) > 2 * RATE
