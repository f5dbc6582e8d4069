"""When a package is refused for what it does on labelled test parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from trd.errors import TRDError
from trd.evaluation.evaluate import FUSED, ClassResult
from trd.export.equivalence import JUDGED, Equivalence, change_of, judged, refuse
from trd.types import ClassFiles

GOOD = 40
SIDE = 16


def result(scores: np.ndarray) -> ClassResult:
    """As many good as defective parts; a map is high, as high as its score, at a defect's place."""
    count = len(scores) - GOOD
    maps = np.random.default_rng(1).normal(0, 0.1, (len(scores), SIDE, SIDE)).astype(np.float32)
    masks = np.zeros(maps.shape, bool)
    masks[GOOD:, 4:8, 4:8] = True
    maps[masks] += np.repeat(scores[GOOD:], 16).astype(np.float32)
    flags = np.arange(len(scores)) >= GOOD
    of_map = {"image_auroc": roc_auc_score(flags, scores), "aupro_30": 0.9}
    return ClassResult(
        "biscuit",
        ClassFiles("biscuit", Path(), (), (), (), None),
        None,
        tuple(map(str, range(len(scores)))),
        ("good",) * GOOD + ("chip",) * count,
        {FUSED: scores.astype(np.float32)},
        {FUSED: maps},
        masks,
        {"maps": {FUSED: of_map}},
        0.0,
    )


def compared(old: ClassResult, new: ClassResult) -> Equivalence:
    values = [{name: one.metrics["maps"][FUSED][name] for name in JUDGED} for one in (new, old)]
    return judged(Equivalence("int8", "openvino", {}, *values, change_of(old, new)))


@pytest.fixture
def before() -> ClassResult:
    random = np.random.default_rng(0)
    return result(np.concatenate([random.normal(0, 1, GOOD), random.normal(2.2, 1, GOOD)]))


def test_the_same_results_change_nothing(before: ClassResult) -> None:
    for change in change_of(before, before).values():
        assert (change.value, change.low, change.high) == (0, 0, 0)
    assert compared(before, before).refused == ()


def test_what_may_be_chance_is_told_and_no_reason(before: ClassResult) -> None:
    scores = before.scores[FUSED].copy()
    lowest = np.argsort(scores[GOOD:])[-1] + GOOD
    scores[lowest] = scores[:GOOD].mean()  # one of forty
    found = compared(before, result(scores))
    change = found.change["image_auroc"]
    assert change.value < -0.01
    assert change.low < change.value <= change.high
    assert change.holds_zero
    assert found.refused == ()
    refuse(found)
    assert len(judged(replace(found, precision="fp32")).refused) == 1  # nothing moves so far there


def test_what_is_no_chance_is_refused(before: ClassResult) -> None:
    scores = before.scores[FUSED].copy()
    scores[GOOD:] -= 1.0  # all of them
    found = compared(before, result(scores))
    assert found.change["image_auroc"].high < -0.01
    with pytest.raises(TRDError, match=r"nothing was written: image_auroc .* a difference of -0\.\d+, 95 % from -0\."):
        refuse(found)


def test_small_differences_are_no_reason_even_where_they_are_real(before: ClassResult) -> None:
    found = compared(before, before)
    real = replace(found.change["image_auroc"], value=-0.009, low=-0.0095, high=-0.001)
    assert judged(replace(found, change={**found.change, "image_auroc": real})).refused == ()


def test_a_metric_that_the_package_has_not_is_refused(before: ClassResult) -> None:
    found = compared(before, before)
    without = replace(found, metrics={}, change={})
    assert len(judged(without).refused) == 2
