"""Files or arrays of one part -> a job, as an upload becomes one; and the threads that inputs run in."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import imagecodecs
import numpy as np

from trd.data.names import part_name
from trd.data.views import arrays_of_sample
from trd.errors import DataError, TRDError
from trd.types import Sample
from trd_station.attachments import AttachedState
from trd_station.station import Station
from trd_station.store.files import new_uid
from trd_station.store.schema import ORIGINS
from trd_station.store.verdicts import NewEvent
from trd_station.work.jobs import Job

AGAIN = 1.0  # seconds until an input that said what was wrong is called again
AGAIN_UNEXPECTED = 5.0
STOPPING = 10.0  # seconds that an input gets to end: a camera may hang for ever

log = logging.getLogger("trd")


class Input(Protocol):
    """name: for events. step: inspect what there is now; the seconds to wait until it is called again, None at the
    end."""

    name: str

    def step(self, stopping: threading.Event) -> float | None: ...


class Running:
    """An input in a thread of its own, until it ends or `stop`. What goes wrong becomes an event, once until it works
    again, and so does its end."""

    def __init__(self, station: Station, source: Input) -> None:
        self._station, self._input = station, source
        self._stopping = threading.Event()
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name=f"station-{source.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(STOPPING)
        if self._thread.is_alive():
            log.warning("%s has not ended within %g s; it ends with the process", self._input.name, STOPPING)

    def state(self) -> AttachedState:
        ended = not self._thread.is_alive()
        return AttachedState("ended" if ended else "failing" if self._fault else "working", self._fault)

    def join(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait: float | None = 0.0
        while wait is not None and not self._stopping.wait(wait):
            try:
                wait = self._input.step(self._stopping)
                self._fault = ""
            except Exception as error:  # an OSError, too, may pass: a share that is away, a full disk
                expected = isinstance(error, TRDError)
                wait = AGAIN if expected else AGAIN_UNEXPECTED
                text = str(error) if expected else f"{type(error).__name__}: {error}"
                if not self._fault and not self._stopping.is_set():
                    if not expected:
                        log.error("the input %s failed", self._input.name, exc_info=error)
                    self._report("warning", text)
                self._fault = _storable(text)
        if wait is None and not self._stopping.is_set():
            self._report("info", "there is nothing more, it has ended")

    def _report(self, level: str, text: str) -> None:
        report(self._station, level, f"{self._input.name}: {text}")


def report(station: Station, level: str, text: str) -> None:
    """An event of an input. Names of files may hold bytes that are no UTF-8; they become escapes."""
    station.report(NewEvent(level, "input", _storable(text)))


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def job_of_files(station: Station, class_name: str, part: str, files: Mapping[str, Path], origin: str) -> Job:
    """A job with copies of these files. Raises DataError where one cannot be read."""
    uid = new_uid()
    folder = station.files.incoming / uid
    folder.mkdir()
    paths = {}
    try:
        for number, (source, path) in enumerate(files.items()):
            paths[source] = folder / f"{number}{path.suffix.lower()}"
            shutil.copyfile(path, paths[source])
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{error.filename} cannot be read: {error.strerror or error}") from error
    sent = {source: f"{part_name(path)}{path.suffix}" for source, path in files.items()}
    return _job(station, class_name, part, uid, folder, paths, sent, origin)


def job_of_sample(station: Station, class_name: str, sample: Sample, origin: str) -> Job:
    """A job with the sample's arrays written losslessly: images as PNG, clouds as NPY. Raises DataError."""
    uid = new_uid()
    folder = station.files.incoming / uid
    folder.mkdir()
    paths, sent = {}, {}
    try:
        for number, (source, array) in enumerate(arrays_of_sample(sample).items()):
            image = array.dtype in (np.uint8, np.uint16)
            ending = ".png" if image else ".npy"
            paths[source], sent[source] = folder / f"{number}{ending}", f"{source}{ending}"
            if image:
                paths[source].write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))
            else:
                with paths[source].open("wb") as file:
                    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    except (OSError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"sample {sample.id}: what the camera gave cannot be kept: {error}") from error
    return _job(station, class_name, sample.id, uid, folder, paths, sent, origin)


def _job(
    station: Station,
    class_name: str,
    part: str,
    uid: str,
    folder: Path,
    paths: Mapping[str, Path],
    sent: Mapping[str, str],
    origin: str,
) -> Job:
    return Job(uid, class_name, part[:200], ORIGINS.index(origin), folder, paths, sent, station.sampled())


def sources_of(station: Station, class_name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sources of a class, and those of them that are clouds. Raises DataError for a class that is not served."""
    serving = station.shelf.serving(class_name)
    if serving is None:
        raise DataError(f"no class '{class_name}' is served; there are: {', '.join(station.shelf.classes)}")
    recipe = serving.detector.recipe
    return recipe.inputs, recipe.cloud_inputs
