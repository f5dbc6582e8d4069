"""The suggestion of a kind from distances of taught defects."""

import numpy as np
import pytest

from trd.decision.kinds import PLACE_PIXELS, KnownKinds, place_of

KNOWN = KnownKinds(("bent", "cut", "bent"), tuple(float(number) for number in range(1, 20)), ("a", "b", "c"))


def test_the_nearest_kind_is_suggested_and_all_are_ranked() -> None:
    suggestion = KNOWN.suggested([9.0, 5.5, 2.5])
    assert suggestion.kind == "bent"
    assert list(suggestion.likeness) == ["bent", "cut"]
    assert suggestion.likeness == pytest.approx({"bent": 18 / 20, "cut": 15 / 20})


def test_what_is_farther_than_taught_defects_from_each_other_is_unlike_all() -> None:
    assert KNOWN.limit.value == 18
    assert KNOWN.limit.guaranteed_rate == pytest.approx(0.1)
    assert KNOWN.suggested([18.0, 30.0, 40.0]).kind == "bent"
    assert KNOWN.suggested([18.5, 30.0, 40.0]).kind == ""


@pytest.mark.parametrize("count", [9, 20])
def test_defects_of_taught_kinds_are_called_unlike_at_the_rate_stated(count: int) -> None:
    """On average over lessons, of a kind whose defects are spread alike."""
    rng = np.random.default_rng(count)
    unlike = []
    for _ in range(400):
        defects = rng.normal(size=(count + 1, 3))
        between = np.linalg.norm(defects[:, None] - defects, axis=2)
        np.fill_diagonal(between, np.inf)
        taught = between[:count, :count].min(axis=1)
        known = KnownKinds(("a",) * count, tuple(sorted(taught.tolist())))
        unlike.append(known.suggested(between[count, :count]).kind == "")
    assert np.mean(unlike) == pytest.approx(0.1, abs=0.045)


def test_a_place_is_the_strongest_scored_pixels() -> None:
    fused = np.random.default_rng(0).random((64, 64), np.float32)
    region = np.zeros((64, 64), bool)
    region[:, 32:] = True
    place = place_of(fused, region) > 0
    assert place.sum() == PLACE_PIXELS
    assert not place[:, :32].any()
    assert fused[place].min() > fused[region & ~place].max()
    assert place_of(fused, np.zeros((64, 64), bool)).sum() == PLACE_PIXELS
    region[:] = False
    region[3, 4] = True
    assert np.argwhere(place_of(fused, region)).tolist() == [[3, 4]]


def test_json_and_what_is_damaged() -> None:
    assert KnownKinds.from_json(KNOWN.to_json()) == KNOWN
    with pytest.raises(ValueError, match=r"kinds, nearest\.0"):
        KnownKinds.from_json({**KNOWN.to_json(), "nearest": ["far"]})
    with pytest.raises(ValueError, match="no taught defects"):
        KnownKinds.from_json({**KNOWN.to_json(), "kinds": []})
