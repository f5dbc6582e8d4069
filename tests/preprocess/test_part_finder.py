"""The part is found in colour where no cloud tells it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from trd.preprocess.part_finder import PartFinder, fit_part_finder
from trd.preprocess.parts import PreparedParts
from trd.types import PreparedSample

SIZE = 96
BROWN, GREY = (0.5, 0.35, 0.2), (0.6, 0.6, 0.62)


def drawn(
    index: int, part: tuple[float, float, float] = BROWN, support: tuple[float, float, float] = GREY
) -> PreparedSample:
    """A disc of one colour somewhere on a support of another, both noisy; the region is the disc and a rim."""
    random = np.random.default_rng(index)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    centre, radius = random.uniform(0.4 * SIZE, 0.6 * SIZE, 2), random.uniform(0.2, 0.3) * SIZE
    distance = np.hypot(rows - centre[0], columns - centre[1])
    colours = np.where((distance < radius)[None], np.array(part)[:, None, None], np.array(support)[:, None, None])
    image = np.clip(colours + random.normal(0, 0.02, (3, SIZE, SIZE)), 0, 1).astype(np.float32)
    return PreparedSample(str(index), "good", {"rgb": image}, distance < radius + 2, None, (SIZE, SIZE))


def parts(count: int, draw: Callable[[int], PreparedSample] = drawn) -> PreparedParts:
    return PreparedParts(count, draw)


def overlap(found: NDArray[np.bool_] | None, part: PreparedSample) -> float:
    assert found is not None
    assert part.region is not None
    return float((found & part.region).sum() / (found | part.region).sum())


def fitted(seed: int = 0) -> PartFinder:
    finder = fit_part_finder("rgb", parts(6), parts(9).chosen([6, 7, 8]), seed)
    assert finder is not None
    return finder


def test_parts_that_it_has_not_seen_are_found() -> None:
    finder = fitted()
    assert finder.overlap > 0.9
    for index in range(20, 25):
        part = drawn(index)
        assert overlap(finder(part.images["rgb"]), part) > 0.9


def test_what_a_defect_hides_inside_the_outline_is_scored_too() -> None:
    finder, part = fitted(), drawn(30)
    assert part.region is not None
    image = part.images["rgb"].copy()
    rows, columns = (round(float(axis.mean())) for axis in np.nonzero(part.region))
    image[:, rows - 5 : rows + 5, columns - 5 : columns + 5] = np.array(GREY)[:, None, None]  # a hole
    found = finder(image)
    assert found is not None
    assert found[rows, columns]


def test_an_empty_support_shows_no_part() -> None:
    empty = drawn(31, part=GREY)
    assert fitted()(empty.images["rgb"]) is None


def test_the_same_after_json() -> None:
    finder, part = fitted(), drawn(32)
    again = PartFinder.from_json(finder.to_json())
    np.testing.assert_array_equal(again(part.images["rgb"]), finder(part.images["rgb"]))


@pytest.mark.parametrize(
    "damage",
    [{"linear": [1.0]}, {"constant": float("nan")}, {"quadratic": [[0.0]]}, {"linear": "abc"}, {"constant": None}],
)
def test_damaged_numbers_are_refused(damage: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        PartFinder.from_json({**fitted().to_json(), **damage})


def test_none_where_part_and_support_look_the_same() -> None:
    assert fit_part_finder("rgb", parts(6, lambda i: drawn(i, part=GREY)), parts(0), 0) is None


def test_none_where_no_part_was_found_in_3d_or_it_fills_the_window() -> None:
    everywhere = np.ones((SIZE, SIZE), bool)
    assert fit_part_finder("rgb", parts(3, lambda i: replace(drawn(i), region=None)), parts(0), 0) is None
    assert fit_part_finder("rgb", parts(3, lambda i: replace(drawn(i), region=everywhere)), parts(0), 0) is None


def test_grey_images_do() -> None:
    def grey(index: int) -> PreparedSample:
        part = drawn(index, part=(0.3, 0.3, 0.3), support=(0.7, 0.7, 0.7))
        return replace(part, images={"rgb": np.repeat(part.images["rgb"][:1], 3, axis=0)})

    finder = fit_part_finder("rgb", parts(6, grey), parts(0), 0)
    assert finder is not None
    part = grey(40)
    assert overlap(finder(part.images["rgb"]), part) > 0.9
