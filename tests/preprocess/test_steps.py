"""Steps of one sample, shared by the caller's thread and free ones of the pool."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trd.preprocess.threads import Steps, in_threads


@pytest.fixture(params=["1", "2", "4"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    return int(request.param)


def chain(length: int, pause: float = 0.0) -> int:
    """The sum of 1 to `length`, each step waiting for the one before it."""
    steps = Steps()
    last = steps.add(lambda: 0)

    def more(before, number: int) -> int:
        time.sleep(pause)
        return before.result() + number

    for number in range(1, length + 1):
        last = steps.add(lambda before=last, number=number: more(before, number))
    steps.run()
    return last.result()


def test_later_steps_have_the_results_of_earlier_ones(threads: int) -> None:
    assert chain(50) == 1275
    Steps().run()


def test_they_run_beside_each_other(threads: int) -> None:
    together = threading.Barrier(threads, timeout=60)
    steps = Steps()
    for _ in range(3 * threads):
        steps.add(together.wait)
    steps.run()


def test_in_no_more_threads_than_allowed(threads: int) -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    chain_of_work(work)
    list(in_threads(lambda _: chain_of_work(work), range(6)))
    assert 1 <= most[0] <= threads


def chain_of_work(work) -> None:
    steps = Steps()
    for _ in range(4):
        steps.add(work)
    steps.run()


def test_the_first_error_in_order_is_raised_and_no_more_is_begun(threads: int) -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        if number == 2:
            time.sleep(0.02)
        if number in (2, 3):
            raise ValueError(f"step {number}")
        time.sleep(0.005)

    steps = Steps()
    for number in range(40):
        steps.add(lambda number=number: work(number))
    with pytest.raises(ValueError, match="step 2"):
        steps.run()
    assert {0, 1, 2} <= set(done)
    assert max(done) < 39
    assert chain(5) == 15  # the pool serves on


def test_a_step_that_waits_for_a_failed_one_fails_with_it(threads: int) -> None:
    steps = Steps()
    broken = steps.add(lambda: 1 // 0)
    steps.add(broken.result)
    with pytest.raises(ZeroDivisionError):
        steps.run()


def test_ctrl_c_in_the_callers_step_leaves_nobody_waiting(threads: int) -> None:
    steps = Steps()

    def interrupted() -> None:
        raise KeyboardInterrupt

    stopped = steps.add(interrupted)
    steps.add(stopped.result)
    with pytest.raises(KeyboardInterrupt):
        steps.run()
    assert chain(5) == 15


def finished(work, seconds: float = 60.0):
    """Its result; TimeoutError for a deadlock, instead of a test that hangs."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(work).result(seconds)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def test_samples_that_take_all_threads_do_their_own_steps(threads: int) -> None:
    assert finished(lambda: list(in_threads(lambda n: chain(n, 0.0005), range(40)))) == [
        n * (n + 1) // 2 for n in range(40)
    ]


def test_steps_within_steps(threads: int) -> None:
    def outer(_: int) -> int:
        steps = Steps()
        parts = [steps.add(lambda n=n: chain(n, 0.0005)) for n in (5, 6, 7, 8)]
        steps.run()
        return sum(part.result() for part in parts)

    assert finished(lambda: list(in_threads(outer, range(12)))) == [100] * 12


def test_many_callers_at_once(threads: int) -> None:
    with ThreadPoolExecutor(8) as callers:
        futures = [callers.submit(chain, n) for n in range(60)]
        assert [future.result(60) for future in futures] == [n * (n + 1) // 2 for n in range(60)]


def test_arrays_are_filled_by_whoever_is_free(threads: int) -> None:
    array, steps = np.zeros(1000), Steps()
    for first in range(0, 1000, 50):
        steps.add(lambda some=slice(first, first + 50): array.__setitem__(some, 1.0))
    steps.run()
    assert array.all()
