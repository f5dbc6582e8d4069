"""Scores before and after a lesson: places, and draws of the parts."""

import numpy as np
import pytest

from trd.learning.scores import Scores

SCORES = Scores(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0]), 3.0)


def test_places_are_deviations_of_the_good_parts() -> None:
    deviation = np.sqrt(2 / 3)
    np.testing.assert_allclose(SCORES.places(), [[0, 2 / deviation]])
    np.testing.assert_allclose(SCORES.of([1]).places(), [[2 / deviation]])
    drawn = np.array([[1, 1, 1], [0, 2, 2]], np.int32)  # of the second, mean 2.5 and deviation 0.5
    np.testing.assert_allclose(SCORES.places(drawn), [[0, 2 / deviation], [-1, 3]])


def test_what_is_asked_is_compared_with_the_good_parts() -> None:
    assert SCORES.above.tolist() == [False, True]
    assert SCORES.auroc() == pytest.approx([1.5 / 3 / 2 + 0.5])
    drawn = np.array([[1, 1, 1, 0, 2], [0, 0, 3, 2, 0]], np.int32)
    np.testing.assert_allclose(SCORES.auroc(drawn), [1, 0])


def test_good_parts_that_score_alike_have_finite_places() -> None:
    assert np.isfinite(Scores(np.ones(4), np.array([1.0, 2.0]), 1.0).places()).all()
