import threading
import time

import pytest

from trd.preprocess.threads import in_threads


def test_results_come_in_order_a_group_at_a_time() -> None:
    asked: list[int] = []

    def items():
        for index in range(10):
            asked.append(index)
            yield index

    def slow_at_first(index: int) -> int:
        time.sleep(0.01 if index % 4 == 0 else 0)
        return index * index

    results = in_threads(slow_at_first, items(), group=4)
    assert next(results) == 0
    assert asked == [0, 1, 2, 3]
    assert list(results) == [index * index for index in range(1, 10)]


def test_nothing_runs_while_results_are_used() -> None:
    running: list[int] = []

    def noted(index: int) -> int:
        running.append(index)
        time.sleep(0.01)
        running.remove(index)
        return index

    for _ in in_threads(noted, range(9), group=3):
        assert not running


def test_ahead_the_next_group_is_worked_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # as many to a group, where fewer are asked for
    done: list[int] = []

    def noted(index: int) -> int:
        done.append(index)
        return index

    results = in_threads(noted, iter(range(10)), group=2, ahead=True)
    assert next(results) == 0
    deadline = time.monotonic() + 10
    while len(done) < 6 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(done) == [0, 1, 2, 3, 4, 5]
    assert list(results) == list(range(1, 10))
    assert list(in_threads(noted, iter(()), ahead=True)) == []


@pytest.mark.parametrize("ahead", [False, True])
def test_an_error_of_the_source_comes_after_the_results_before_it(ahead: bool) -> None:
    def source():
        yield from range(5)
        raise OSError("disk gone")

    results = in_threads(abs, source(), group=2, ahead=ahead)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="disk gone"):
        next(results)


def test_the_first_failing_item_is_named_after_what_came_before() -> None:
    def broken(index: int) -> int:
        if index in (2, 3):
            time.sleep(0.02 if index == 2 else 0)
            raise ValueError(f"part {index}")
        return index

    results = in_threads(broken, range(6), group=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="part 2"):
        next(results)


def test_it_ends_its_threads() -> None:
    before = threading.active_count()
    results = in_threads(abs, range(20), group=2)
    next(results)
    results.close()
    list(in_threads(abs, range(3)))
    assert threading.active_count() == before
