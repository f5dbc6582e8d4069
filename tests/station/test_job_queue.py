"""Jobs are done one after another, whatever happens to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stations import until

from trd.errors import OutputError
from trd.files import write_json
from trd_station.teaching.jobs import RESULT, Job, read_job
from trd_station.teaching.queue import JobQueue


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobQueue]:
    """Its jobs are done at once, without a process."""

    def work(_queue: JobQueue, job: Job) -> tuple[int, str]:
        write_json(job.folder / RESULT, {})
        return 0, ""

    monkeypatch.setattr(JobQueue, "_process_of", work)
    one = JobQueue(lambda job: job, lambda job: None)
    one.start([])
    yield one
    one.stop()


def job(folder: Path, number: int) -> Job:
    return Job(number, "biscuit", "check", folder / str(number), "anna", 0)


def state(queue: JobQueue, number: int) -> str:
    one = queue.job(number)
    assert one is not None
    return one.state


def test_a_job_that_is_cancelled_just_before_it_begins_does_not_begin(
    queue: JobQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = JobQueue._work

    def cancelled_first(one: JobQueue, chosen: Job) -> None:
        if chosen.id == 1:
            one.cancel(1)
        work(one, chosen)

    monkeypatch.setattr(JobQueue, "_work", cancelled_first)
    queue.add(job(tmp_path, 1))
    queue.add(job(tmp_path, 2))
    until(lambda: state(queue, 2) == "done")
    assert state(queue, 1) == read_job(tmp_path / "1").state == "cancelled"
    assert not (tmp_path / "1" / RESULT).exists()


def test_a_record_that_cannot_be_written_stops_no_other_job(
    queue: JobQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Job.write

    def full(one: Job) -> None:
        if one.id == 1 and one.state != "waiting":
            raise OutputError("cannot write: no space left on device")
        write(one)

    monkeypatch.setattr(Job, "write", full)
    queue.add(job(tmp_path, 1))
    queue.add(job(tmp_path, 2))
    until(lambda: state(queue, 2) == "done")
    assert state(queue, 1) == "failed"
    assert read_job(tmp_path / "1").state == "waiting"  # the next station does it
