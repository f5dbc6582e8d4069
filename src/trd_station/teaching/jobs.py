"""Records of long work for a class, each in a folder of its own: what is asked for, how far it is, what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from trd.errors import DataError
from trd.files import write_json
from trd_station.teaching.settings import PARTS

FOLDER = "jobs"
RECORD = "job.json"
RESULT = "result.json"
LOG = "log.txt"
RUN = "run"
LEARNED = "learned"  # the run folder of a lesson, while it is made
PICTURES = "pictures"
PACKAGE = "package.trdm"

Kind = Literal["check", "train", "trial", "export", "lesson"]
State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """folder: of this job. recipe: as TOML, "" where none is needed. asked: what else the request said. at, begun,
    ended: milliseconds since 1970. result: what came of it, as JSON. model: the name under which a trained detector or
    a package can be loaded."""

    id: int
    class_name: str
    kind: Kind
    folder: Path
    who: str
    at: int
    recipe_name: str = ""
    recipe: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    state: State = "waiting"
    begun: int | None = None
    ended: int | None = None
    error: str | None = None
    result: Mapping[str, Any] | None = None
    model: str | None = None

    @property
    def parts(self) -> Path:
        """The data folder: the collection as it was when the job was asked for; of a lesson its labelled parts."""
        return self.folder / PARTS

    @property
    def data(self) -> Path:
        """The station's folder: DATA/teach/CLASS/jobs/NUMBER is the job's."""
        return self.folder.parents[3]

    def changed(self, **values: Any) -> Job:
        return replace(self, **values)

    def write(self) -> None:
        values = asdict(self)
        del values["folder"]  # it moves with the station's
        write_json(self.folder / RECORD, values)

    def log(self, last: int = 40_000) -> str:
        """The end of its log."""
        try:
            with (self.folder / LOG).open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - last))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""


def read_job(folder: Path) -> Job:
    """Raises DataError for a record that is not ours."""
    path = folder / RECORD
    try:
        return Job(**json.loads(path.read_text("utf-8")), folder=folder)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}; delete its folder") from error


def jobs_of(class_folder: Path) -> Iterator[Job | DataError]:
    """Of a class, by number; an error in the place of one that cannot be read."""
    folders = [
        path for path in (class_folder / FOLDER).glob("*") if path.name.isdecimal() and (path / RECORD).is_file()
    ]
    for folder in sorted(folders, key=lambda path: int(path.name)):
        try:
            yield read_job(folder)
        except DataError as error:
            yield error
