from pathlib import Path

import numpy as np
import pytest

from trd.evaluation.curves import image_curves
from trd.statistics.resampling import Interval
from trd.types import GOOD, ClassFolder
from trd_bench.compare.measure import Measured
from trd_bench.compare.page import Comparison, cells, ranged, shared
from trd_bench.compare.statistics import BEST, SAME, WORSE, ClassMeasurements, Share, mean_rows, placements
from trd_bench.compare.testing import TestSet

RNG = np.random.default_rng(0)
DEFECTS = (GOOD,) * 30 + ("dent",) * 30
FLAGS = np.array([defect != GOOD for defect in DEFECTS])


def measured(recipe: str, scores: np.ndarray, name: str = "nut", seed: int = 1, threshold: float = 1.0) -> Measured:
    """Without masks."""
    ids = tuple(f"test/{number}" for number in range(len(scores)))
    metrics = {"maps": {"fused": {"image_auroc": image_curves(scores, FLAGS).auroc()}}}
    seconds = {"training": 10.0 * seed, "calibration": 1.0, "preparation": 99.0}
    return Measured(
        recipe, seed, name, Path(), ids, DEFECTS, scores, threshold, metrics, None, seconds, 2_000_000, 9, 0.05
    )


def scores(shift: float) -> np.ndarray:
    return (RNG.normal(size=60) + shift * FLAGS).astype(np.float32)


def of_class(recipes: dict[str, list[Measured]], name: str = "nut", number: int = 0) -> ClassMeasurements:
    return ClassMeasurements(TestSet(ClassFolder(name, Path())), recipes, number)


def test_verdicts() -> None:
    good = scores(2.0)
    near = good + 0.05 * RNG.normal(size=60).astype(np.float32)
    recipes = {
        "good": [measured("good", good)],
        "near": [measured("near", near)],
        "poor": [measured("poor", scores(0.2))],
    }
    table = of_class(recipes).table()
    verdicts = {row.recipe: row.verdict for row in table.rows}
    assert verdicts["poor"] == WORSE
    assert {verdicts["good"], verdicts["near"]} == {BEST, SAME}
    conclusion = Comparison("", "", (), (), (), (table,), {}).conclusion
    assert "no difference between it and" in conclusion
    assert conclusion.endswith("poor did worse, by more than the choice of test parts would explain.")
    alone = Comparison("", "", (), (), (), (of_class({"good": recipes["good"]}).table(),), {})
    assert alone.conclusion.startswith("Highest image AUROC: good, 0.9")


def test_seeds_are_averaged_on_the_same_resamples() -> None:
    first, second = scores(1.5), scores(1.0)
    one = of_class({"a": [measured("a", first, seed=1), measured("a", second, seed=3)]})
    value, replicates = one.image_auroc["a"]
    assert value == pytest.approx((image_curves(first, FLAGS).auroc() + image_curves(second, FLAGS).auroc()) / 2)
    single = [of_class({"a": [measured("a", found)]}).image_auroc["a"][1] for found in (first, second)]
    assert np.allclose(replicates, np.mean(single, axis=0))
    (row,) = one.table().rows
    assert row.seeds == (1, 3)
    assert (row.cost.training.value, row.cost.training.low, row.cost.training.high) == (21.0, 11.0, 31.0)
    assert row.cost.megabytes == 2.0


def test_found_and_false_alarms() -> None:
    values = np.zeros(60, np.float32)
    values[[0, 1, 30, 31, 32]] = 2.0
    (row,) = of_class({"a": [measured("a", values)]}).table().rows
    assert shared(row.found) == "10 % (2 to 27 %; 3 of 30)"
    assert shared(row.false) == "7 % (1 to 22 %; 2 of 30)"
    assert Share(2.5, 10).share.value == 0.25
    assert shared(Share(0, 0)) == "-"


def test_the_mean_weighs_classes_alike_and_takes_those_that_all_have() -> None:
    a, b, c = scores(2.0), scores(0.5), scores(1.0)
    classes = [
        of_class({"x": [measured("x", a, "nut")], "y": [measured("y", b, "nut")]}),
        of_class({"x": [measured("x", b, "bolt")], "y": [measured("y", c, "bolt")]}, "bolt", 1),
        of_class({"x": [measured("x", c, "pin")]}, "pin", 2),
    ]
    rows, names = mean_rows(classes)
    assert names == ("nut", "bolt")
    first = next(row for row in rows if row.recipe == "x")
    assert first.image_auroc.value == pytest.approx(np.mean([image_curves(s, FLAGS).auroc() for s in (a, b)]))
    assert first.found.count == 60
    widths = [one.table().rows[0].image_auroc for one in classes[:2]]
    assert first.image_auroc.high - first.image_auroc.low < max(w.high - w.low for w in widths)  # two classes know more
    assert len(cells(first)) == 12
    assert mean_rows([classes[2], of_class({"y": [measured("y", b, "nut")]})]) == ((), ())


def test_placements_and_disagreements() -> None:
    assert placements(np.array([0, 1, 2, 1.0]), np.array([False, False, True, True])).tolist() == [1, 0.75, 1, 0.75]
    hit, missed = scores(3.0), scores(3.0)
    missed[40] = -9
    table = of_class({"hit": [measured("hit", hit)], "missed": [measured("missed", missed)]}).table()
    first = table.disagreements[0]
    assert (first.id, first.defect) == ("test/40", "dent")
    assert first.placement["missed"] == 0
    assert first.spread == first.placement["hit"]


def test_parts_made_from_one_part_are_drawn_together() -> None:
    base = {f"test/{number}": number % 30 for number in range(60)}
    test = TestSet(ClassFolder("nut", Path()), base=base, unseen=False)
    one = ClassMeasurements(test, {"a": [measured("a", scores(1.0))]}, 0)
    assert (one.counts[:, :30] == one.counts[:, 30:]).all()
    (row,) = one.table().rows
    assert row.false is None
    assert "-" in cells(row)


def test_defects_of_one_part_are_found_together() -> None:
    """30 good parts, 30 defects drawn into 10 of them, 3 each. Found together: 10 observations, not 30."""
    base = {f"test/{number}": number if number < 30 else (number - 30) // 3 for number in range(60)}
    test = TestSet(ClassFolder("nut", Path()), base=base, unseen=False)
    together, apart = np.zeros(60, np.float32), np.zeros(60, np.float32)
    together[30:45] = 2.0  # of 5 parts all
    apart[[30, 31, 33, 34, 36, 37, 39, 40, 42, 43, 45, 48, 51, 54, 57]] = 2.0  # of each part 2 or 1
    clustered, spread = (ClassMeasurements(test, {"a": [measured("a", v)]}, 0).detected("a") for v in (together, apart))
    assert (clustered.hits, clustered.count, clustered.independent) == (15.0, 30, 9)
    assert spread.independent == 30
    assert spread.share == Share(15, 30).share
    wide, narrow = clustered.share, spread.share
    assert wide.low < 0.25 < narrow.low
    all_found = ClassMeasurements(test, {"a": [measured("a", np.full(60, 2, np.float32))]}, 0).detected("a")
    assert all_found.share.low == pytest.approx(0.025**0.1)  # of 10 parts


def test_numbers_as_text() -> None:
    assert ranged(Interval(0.91234, 0.85, 0.96)) == "0.912 (0.850 to 0.960)"
    assert ranged(Interval(-0.0123, -0.05, 0.03), sign=True) == "-0.012 (-0.050 to +0.030)"
    nan = float("nan")
    assert ranged(Interval(nan, nan, nan)) == "-"
    assert ranged(Interval(0.5, nan, nan)) == "0.500"
    assert ranged(None) == "-"
