"""The station's clock: a task that fails holds back no other."""

import threading

import pytest
from stations import until

from trd_station.clock import Clock, Periodic


def test_each_task_comes_as_often_as_it_says_and_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ending, often, seldom = threading.Event(), list[int](), list[int]()

    def fail() -> None:
        raise RuntimeError("no room")

    tasks = (Periodic(0, fail), Periodic(0, lambda: often.append(1)), Periodic(3600, lambda: seldom.append(1)))
    clock = Clock(0.001, tasks, ending)
    clock.join()  # was never started
    clock.start()
    until(lambda: len(often) > 3)
    ending.set()
    clock.join()
    assert len(seldom) == 1
    assert "no room" in caplog.text
