"""The order in which a person is asked about parts that wait."""

from dataclasses import replace

from trd_station.asking import Candidate, asked_first, candidate, in_turn
from trd_station.deciding import Limits

LIMITS = Limits(4.0, 6.0, (1.0, 2.0, 3.0))
ROW = {
    **{"class_id": 1, "score": 6.5, "share": {"rgb": 1.0}, "height": 100, "width": 200},
    **{"peak_row": 50, "peak_column": 100, "kind_suggestion": None},
}


def part(distance: float = 1.0, rgb: float = 1.0, place: tuple[float, float] = (0.0, 0.0)) -> Candidate:
    return Candidate(1, distance, {"rgb": rgb, "normals": 1 - rgb}, place)


def order(waiting: list[Candidate], reviewed: list[Candidate]) -> list[int]:
    return [index for index, _ in asked_first(waiting, reviewed, len(waiting))]


def test_distance_is_in_deviations_of_good_parts() -> None:
    one = candidate(ROW, LIMITS)
    assert one.distance == 0.5 / (2 / 3) ** 0.5
    assert one.place == (0.25, 0.5)
    assert not one.unlike
    assert candidate({**ROW, "kind_suggestion": {"kind": "", "likeness": {"cut": 0.1}}}, LIMITS).unlike
    assert candidate(ROW, replace(LIMITS, good_scores=(2.0, 2.0))).distance == 0.5


def test_the_part_near_the_limit_comes_first_and_says_so() -> None:
    waiting = [part(3.0), part(0.1), part(1.0)]
    assert asked_first(waiting, [part()], 2) == [(1, "near_limit"), (2, "near_limit")]


def test_what_was_not_seen_yet_comes_before_what_was() -> None:
    reviewed = [part(place=(0.1, 0.1))]
    waiting = [part(1.0, place=(0.1, 0.1)), part(1.2, rgb=0.0, place=(0.9, 0.4))]
    assert asked_first(waiting, reviewed, 2) == [(1, "unlike_reviewed"), (0, "near_limit")]
    assert asked_first([replace(waiting[0], unlike=True)], reviewed, 1) == [(0, "unlike_reviewed")]


def test_copies_do_not_follow_each_other() -> None:
    waiting = [part(0.1, place=(0.5, 0.5))] * 10 + [part(1.0, rgb=0.2, place=(0.1, 0.9))]
    assert order(waiting, [])[:2] == [0, 10]


def test_classes_are_not_compared_and_newer_parts_come_first_among_equals() -> None:
    waiting = [part(), replace(part(), class_id=2), part()]
    assert order(waiting, [part()]) == [1, 0, 2]


def test_nothing_waits() -> None:
    assert asked_first([], [], 5) == []
    assert asked_first([], [part()], 5) == []


def test_random_parts_keep_their_order_between_the_others() -> None:
    assert in_turn("abc", "12345", 7) == ["a", "1", "b", "2", "c", "3", "4"]
    assert in_turn("abc", "", 2) == ["a", "b"]
    assert in_turn("", "12", 9) == ["1", "2"]
