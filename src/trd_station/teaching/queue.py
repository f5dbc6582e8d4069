"""One job at a time, in a process of its own; what a stopped station left undone goes on."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from trd.errors import OutputError, TRDError
from trd_station import times
from trd_station.teaching.jobs import ENDED, LEARNED, LOG, PICTURES, RESULT, RUN, Job
from trd_station.teaching.process import started
from trd_station.teaching.worker import FAILED

STARTS = 3  # of a process that is killed, by whoever is short of memory
MODULE = "trd_station.teaching.worker"


@dataclass(frozen=True)
class Stage:
    """What a job is at. left_s: seconds until the stage ends, None where nothing tells."""

    title: str
    done: int
    total: int
    left_s: float | None

    def to_json(self) -> dict[str, Any]:
        left = None if self.left_s is None else round(self.left_s, 1)
        return {"title": self.title, "done": self.done, "total": self.total, "left_s": left}


class JobQueue:
    """finish: called when a job's process has succeeded, before the job counts as done; what it returns is kept. tell:
    called with a job whenever something about it has changed."""

    def __init__(self, finish: Callable[[Job], Job], tell: Callable[[Job], None]) -> None:
        self._finish, self._tell = finish, tell
        self._jobs: dict[int, Job] = {}
        self._stages: dict[int, Stage] = {}
        self._changed = threading.Condition(threading.RLock())
        self._process: subprocess.Popen[str] | None = None
        self._working_on = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="station-jobs", daemon=True)

    def start(self, jobs: Iterable[Job]) -> None:
        """jobs: of an earlier station; those that were not done are, in order."""
        self._jobs = {job.id: job for job in jobs}
        self._thread.start()

    def stop(self) -> None:
        """The process ends; its job goes on with the next station."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._kill()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def next_id(self) -> int:
        with self._changed:
            return max(self._jobs, default=0) + 1

    def add(self, job: Job) -> None:
        job.write()
        with self._changed:
            self._jobs[job.id] = job
            self._changed.notify_all()
        self._tell(job)

    def job(self, number: int) -> Job | None:
        with self._changed:
            return self._jobs.get(number)

    def jobs(self, class_name: str) -> list[Job]:
        """Of a class, newest first."""
        with self._changed:
            return sorted((j for j in self._jobs.values() if j.class_name == class_name), key=lambda j: -j.id)

    def stage(self, job: Job) -> Stage | None:
        return self._stages.get(job.id)

    def ahead(self, job: Job) -> int:
        """Jobs that are done before a waiting one."""
        with self._changed:
            return sum(other.state not in ENDED and other.id < job.id for other in self._jobs.values())

    def cancel(self, number: int) -> Job:
        """Raises KeyError for a job that is not there or has ended."""
        with self._changed:
            job = self._jobs[number]
            if job.state in ENDED:
                raise KeyError(number)
            job = self._note(job.changed(state="cancelled", ended=times.now()))
            if self._working_on == number:
                self._kill()
            else:
                _clear(job)
        self._tell(job)
        return job

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _note(self, job: Job) -> Job:
        job.write()
        self._jobs[job.id] = job
        return job

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (job := self._next()) is None:
                    self._changed.wait()
                if self._stopping:
                    return
                assert job is not None
                self._working_on = job.id
            try:
                self._work(job)
            except Exception as error:
                expected = isinstance(error, TRDError)
                self._end(job.id, error=str(error) if expected else f"unexpected {type(error).__name__}: {error}")
            finally:
                self._working_on = 0

    def _next(self) -> Job | None:
        """The one that a stopped station was at comes first: its number is the lowest."""
        return min((job for job in self._jobs.values() if job.state not in ENDED), key=lambda job: job.id, default=None)

    def _work(self, job: Job) -> None:
        with self._changed:
            is_cancelled = self._jobs[job.id].state in ENDED  # since it was chosen
            if not is_cancelled:
                job = self._note(job.changed(state="running", begun=job.begun or times.now()))
        if is_cancelled:
            _clear(self._jobs[job.id])
            return
        self._tell(job)
        for start in range(STARTS):
            has_result = (job.folder / RESULT).is_file()  # the station was killed before it had noted that
            code, error = (0, "") if has_result else self._process_of(job)
            with self._changed:
                if self._stopping:
                    return
                if self._jobs[job.id].state == "cancelled":
                    break
            if code == 0:
                result = json.loads((job.folder / RESULT).read_text("utf-8"))
                done = self._finish(job.changed(result=result))
                with self._changed:
                    if self._jobs[job.id].state != "cancelled":
                        self._note(done.changed(state="done", ended=times.now()))
                break
            if code == FAILED:
                self._end(job.id, error=error)
                return
            if code > 0 or start == STARTS - 1:
                self._end(job.id, error=f"its process ended with code {code}; the log has more")
                return
        self._stages.pop(job.id, None)
        _clear(self._jobs[job.id])
        self._tell(self._jobs[job.id])

    def _process_of(self, job: Job) -> tuple[int, str]:
        """Exit code (negative: the signal that killed it), and the error that it said."""
        error = ""
        with (job.folder / LOG).open("ab") as log:
            with self._changed:
                if self._stopping or self._jobs[job.id].state == "cancelled":
                    return 1, ""
                self._process = started(MODULE, str(job.folder), log)
            process = self._process
            with process:
                for line in process.stdout or ():
                    values = json.loads(line)
                    if "error" in values:
                        error = values["error"]
                        continue
                    self._stages[job.id] = Stage(values["stage"], values["done"], values["total"], values["left_s"])
                    self._tell(job)
                process.wait()  # before its standard input is closed, which ends it
            self._process = None
        return process.returncode, error

    def _end(self, number: int, error: str) -> None:
        with self._changed:
            job = self._jobs[number]
            if job.state not in ENDED:
                job = self._jobs[number] = job.changed(state="failed", ended=times.now(), error=error)
                with contextlib.suppress(OutputError):  # of a full disk: the next station goes on with it
                    job.write()
        self._stages.pop(number, None)
        _clear(job)
        self._tell(job)


def _clear(job: Job) -> None:
    """What only a job that goes on needs."""
    if job.state != "done":
        for name in (RUN, LEARNED, PICTURES):
            shutil.rmtree(job.folder / name, ignore_errors=True)
    if job.state != "done" or job.kind not in ("train", "lesson"):  # an export compares with the training's parts
        shutil.rmtree(job.parts, ignore_errors=True)
