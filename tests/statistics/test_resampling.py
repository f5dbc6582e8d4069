import numpy as np
import pytest

from trd.evaluation.curves import image_curves
from trd.statistics.resampling import (
    auroc_interval,
    independent_pairs,
    interval,
    resampled,
    resampled_auroc,
)

RNG = np.random.default_rng(0)


def parts(good: int, defective: int, shift: float, rng: np.random.Generator = RNG) -> tuple[np.ndarray, np.ndarray]:
    flags = np.arange(good + defective) >= good
    return (rng.normal(size=good + defective) + shift * flags).astype(np.float32), flags


def test_resamples_keep_the_numbers_of_good_and_defective_parts() -> None:
    flags = np.array([True] * 7 + [False] * 5)
    counts = resampled(flags, 100, seed=3)
    assert (counts[:, flags].sum(axis=1) == 7).all()
    assert (counts[:, ~flags].sum(axis=1) == 5).all()
    assert (counts == resampled(flags, 100, seed=3)).all()
    assert (counts != resampled(flags, 100, seed=4)).any()


def test_groups_are_drawn_whole() -> None:
    groups = np.array([0, 1, 2, 0, 1, 2, 2])
    counts = resampled(np.arange(7) >= 3, 50, groups=groups)
    assert (counts[:, 0] == counts[:, 3]).all()
    assert (counts[:, 5] == counts[:, 6]).all()
    assert (counts[:, :3].sum(axis=1) == 3).all()


def test_a_resample_has_the_auroc_of_its_parts() -> None:
    """Against the curve of the parts written out as often as they were drawn; scores with ties."""
    scores, flags = parts(20, 15, 0.7)
    scores = np.round(scores, 1)
    counts = resampled(flags, 20)
    ours = resampled_auroc(scores, flags, counts)
    for row, value in zip(counts, ours, strict=True):
        written = image_curves(np.repeat(scores, row), np.repeat(flags, row)).auroc()
        assert value == pytest.approx(written, abs=1e-12)
    once = resampled_auroc(scores, flags, np.ones((1, 35), np.int32))
    assert once[0] == pytest.approx(image_curves(scores, flags).auroc())
    assert np.isnan(resampled_auroc(scores, np.zeros(35, bool), counts)).all()


def test_the_spread_is_that_of_the_closed_form() -> None:
    """Hanley and McNeil's standard error, with the shares of triples taken from the parts themselves."""
    scores, flags = parts(80, 60, 1.0)
    good, bad = scores[~flags], scores[flags]
    wins = bad[:, None] > good[None]
    auroc = wins.mean()
    two_bad = (wins.mean(axis=0) ** 2).mean() - auroc**2
    two_good = (wins.mean(axis=1) ** 2).mean() - auroc**2
    closed = np.sqrt(two_good / len(bad) + two_bad / len(good))
    spread = resampled_auroc(scores, flags, resampled(flags)).std()
    assert spread == pytest.approx(closed, rel=0.06)


def test_identical_detectors_do_not_differ() -> None:
    scores, flags = parts(30, 30, 1.0)
    counts = resampled(flags)
    difference = resampled_auroc(scores, flags, counts) - resampled_auroc(10 * scores + 3, flags, counts)
    found = interval(0.0, difference)
    assert found.low == found.high == 0
    assert found.holds_zero


def test_a_clearly_better_one_excludes_zero() -> None:
    rng = np.random.default_rng(1)
    good, flags = parts(60, 60, 2.5, rng)
    poor, _ = parts(60, 60, 0.3, rng)
    counts = resampled(flags)
    found = interval(
        image_curves(poor, flags).auroc() - image_curves(good, flags).auroc(),
        resampled_auroc(poor, flags, counts) - resampled_auroc(good, flags, counts),
    )
    assert found.high < 0
    assert not found.holds_zero


def test_paired_differences_are_narrower() -> None:
    """Two detectors that find the same parts hard: resampled together they differ less."""
    rng = np.random.default_rng(2)
    hard, flags = parts(40, 40, 1.0, rng)
    one, two = (hard + 0.3 * rng.normal(size=80).astype(np.float32) for _ in range(2))
    counts, others = resampled(flags, seed=0), resampled(flags, seed=1)
    paired = resampled_auroc(one, flags, counts) - resampled_auroc(two, flags, counts)
    unpaired = resampled_auroc(one, flags, counts) - resampled_auroc(two, flags, others)
    assert paired.std() < 0.6 * unpaired.std()


@pytest.mark.parametrize(("shift", "truth", "number"), [(1.0, 0.7602, 40), (2.0, 0.9214, 20), (3.0, 0.9831, 40)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(shift: float, truth: float, number: int) -> None:
    """400 simulated tests with normal scores `shift` apart, whose AUROC is Phi(shift / sqrt(2))."""
    rng, held = np.random.default_rng(3), 0
    for seed in range(400):
        scores, flags = parts(number, number, shift, rng)
        value = image_curves(scores, flags).auroc()
        found = auroc_interval(value, resampled_auroc(scores, flags, resampled(flags, 400, seed=seed)), number)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.99


def test_equal_detectors_are_seldom_told_apart() -> None:
    """300 simulated pairs of equally good, similar detectors: a difference is seen in about 1 of 20."""
    rng, seen = np.random.default_rng(4), 0
    for seed in range(300):
        hard, flags = parts(30, 30, 2.0, rng)
        one, two = (hard + 0.5 * rng.normal(size=60).astype(np.float32) for _ in range(2))
        counts = resampled(flags, 400, seed=seed)
        value = image_curves(one, flags).auroc() - image_curves(two, flags).auroc()
        difference = resampled_auroc(one, flags, counts) - resampled_auroc(two, flags, counts)
        seen += not interval(value, difference).holds_zero
    assert seen / 300 <= 0.09


def test_an_interval_of_its_own_value() -> None:
    flags = np.arange(20) >= 10
    scores, _ = parts(10, 10, 1.0)
    found = auroc_interval(0.8, resampled_auroc(scores, flags, resampled(flags)), 10)
    assert 0 < found.low < 0.8 < found.high < 1
    ties = auroc_interval(0.5, np.full(9, 0.5), 10)
    assert (ties.low, ties.high) == (0.5, 0.5)
    assert np.isnan(auroc_interval(float("nan"), np.full(9, np.nan), 10).low)


def test_a_perfect_order_is_no_certainty() -> None:
    flags = np.arange(30) >= 10
    scores = flags.astype(np.float32)
    counts = resampled(flags)
    pairs = independent_pairs(flags)
    found = auroc_interval(1.0, resampled_auroc(scores, flags, counts), pairs)
    assert pairs == 10
    assert found.low**10 == pytest.approx(0.025)
    assert found.high == 1
    upside_down = auroc_interval(0.0, resampled_auroc(-scores, flags, counts), pairs)
    assert (upside_down.low, upside_down.high) == (0.0, pytest.approx(1 - found.low))
    assert independent_pairs(flags, np.arange(30) % 10) == 5
