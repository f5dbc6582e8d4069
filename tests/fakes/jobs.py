"""Jobs of a station in the process of the tests, which has loaded PyTorch already."""

from __future__ import annotations

import pytest
from rich.console import Console

from trd.files import write_json
from trd_station.teaching.jobs import RESULT, Job
from trd_station.teaching.queue import JobQueue
from trd_station.teaching.tasks import TASKS


def jobs_in_this_process(patch: pytest.MonkeyPatch) -> None:
    def work(_queue: JobQueue, job: Job) -> tuple[int, str]:
        write_json(job.folder / RESULT, TASKS[job.kind](job, Console(quiet=True)))
        return 0, ""

    patch.setattr(JobQueue, "_process_of", work)
