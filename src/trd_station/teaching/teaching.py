"""The classes that are taught: what the routes call. The folder DATA/teach is the truth; nothing here is in the
database but a class's name and the events."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trd.errors import DataError, OutputError
from trd.extras import require
from trd.files import delete_scraps, folder_to_disk
from trd.packages.package import SUFFIX
from trd_station import times
from trd_station.shelf.discovery import stored_path
from trd_station.store.verdicts import NewEvent
from trd_station.teaching import jobs
from trd_station.teaching.collection import Collection
from trd_station.teaching.drop import DROP, DropFolder, DropFolders
from trd_station.teaching.jobs import Job, Kind
from trd_station.teaching.lesson import LessonPlan
from trd_station.teaching.queue import JobQueue
from trd_station.teaching.rates import calibrated_well, missing_parts
from trd_station.teaching.settings import FILE, FIRST, NETWORK, ClassSettings, Layout, Polygons, checked_name
from trd_station.teaching.trial import Plan

NO_STAND_INS = "scoring.stand_ins=false"  # the station never asks for them, and a first detector is to come soon


@dataclass(frozen=True)
class TaughtClass:
    settings: ClassSettings
    collection: Collection
    drop: DropFolder


class Teaching:
    """class_id: number of a class by its name, which is noted where it is new. report: of an event. tell: called with
    a job whenever something about it has changed. changed: called with a class whose parts are others."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        class_id: Callable[[str], int],
        report: Callable[[NewEvent], Any],
        tell: Callable[[Job], None],
        changed: Callable[[str], None],
    ) -> None:
        self.folder, self._models = folder, models
        self._class_id, self._report, self._changed = class_id, report, changed
        self._changing = threading.Lock()
        self._classes: dict[str, TaughtClass] = {}
        self.queue = JobQueue(self._finished, tell)
        self._drops = DropFolders(lambda: [(name, self[name].drop) for name in self.classes], self._dropped)

    def start(self) -> None:
        """Read what there is; jobs that a stopped station left undone go on. What cannot be read becomes an event."""
        earlier: list[Job] = []
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if not folder.is_dir():
                continue
            name, torn = folder.name, list[str]()
            if (folder / FILE).exists() or not (folder / jobs.FOLDER).is_dir():  # else it is served, not taught here
                try:
                    taught = self._opened(ClassSettings.read(folder))
                    name, torn = taught.settings.name, taught.collection.mend()
                except (DataError, OutputError) as error:
                    self._report(NewEvent("warning", "teach", str(error)))
                    continue
            number = self._class_id(name)
            if torn:
                named = ", ".join(torn[:3])
                text = f"{len(torn)} good parts lacked a file ({named}): what there was moved to 'incomplete'"
                self._report(NewEvent("warning", "teach", text, number))
            for job in jobs.jobs_of(folder):
                if isinstance(job, DataError):
                    self._report(NewEvent("warning", "teach", str(job), number))
                else:
                    delete_scraps(job.folder, 0.0)
                    earlier.append(job)
        self.queue.start(earlier)
        self._drops.start()

    def stop(self) -> None:
        self._drops.stop()
        self.queue.stop()

    def _opened(self, settings: ClassSettings) -> TaughtClass:
        collection = Collection(self.folder / settings.name, settings)
        taught = TaughtClass(settings, collection, DropFolder(collection))
        self._classes[settings.name] = taught
        return taught

    # --- classes

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted(self._classes))

    def __getitem__(self, name: str) -> TaughtClass:
        """Raises KeyError."""
        return self._classes[name]

    def create(self, name: str, layout: Layout, who: str) -> TaughtClass:
        """Raises DataError for a name that cannot be one, or is taken."""
        name = checked_name(name)
        with self._changing:
            if name.casefold() in {other.casefold() for other in self._classes}:
                raise DataError(f"a class '{name}' is taught already")
            settings = ClassSettings(name, layout, who, times.now())
            settings.write(self.folder / name)
            taught = self._opened(settings)
        self.note(name, f"the class '{name}' ({layout}) can be taught, by {who}")
        return taught

    def set_region(self, name: str, inspect: Polygons, ignore: Polygons, who: str) -> TaughtClass:
        """For what is trained from now on. Raises KeyError, RecipeError."""
        with self._changing:
            settings = self[name].settings.with_region(inspect, ignore)
            settings.write(self.folder / name)
            taught = self._classes[name] = replace(self[name], settings=settings)
        self.note(name, f"the region of interest has {len(inspect)} and leaves out {len(ignore)} polygons, by {who}")
        return taught

    def note(self, name: str, text: str, level: str = "info", data: Mapping[str, Any] | None = None) -> None:
        self._report(NewEvent(level, "teach", text, self._class_id(name), data))

    def collected(self, name: str, kept: Sequence[str], by: str) -> None:
        """Note parts that were collected."""
        if kept:
            named = f"{kept[0]}{', ...' if len(kept) > 1 else ''}"
            count = len(self[name].collection.parts())
            self.note(name, f"{len(kept)} good parts were collected by {by} ({named}): {count} now")
            self._changed(name)

    def _dropped(self, name: str, kept: Sequence[str], refused: Sequence[str]) -> None:
        self.collected(name, kept, f"the folder '{DROP}'")
        for reason in refused:
            self.note(name, f"the folder '{DROP}': {reason}", "warning")

    # --- jobs

    def fit(
        self,
        name: str,
        kind: Literal["check", "train"],
        who: str,
        step: Literal["first", "network"],
        recipe: str = "",
        overrides: tuple[str, ...] = (),
    ) -> Job:
        """A job on the collection as it is now. recipe: a shipped one's name, "" for the step's own. Raises KeyError,
        RecipeError, and DataError where something is missing."""
        settings, count = self[name].settings, len(self[name].collection.parts())
        if missing := missing_parts(count):
            raise DataError(missing)
        recipe = recipe or (FIRST if step == "first" else NETWORK)[settings.layout] or ""
        if not recipe:
            raise DataError(f"no recipe trains a network for {settings.layout} alone: '{name}' has its first detector")
        chosen = calibrated_well(settings.recipe(recipe, overrides), count, overrides)
        soon = (NO_STAND_INS,) if step == "first" else ()
        text = settings.recipe(recipe, (*soon, *overrides, *chosen)).to_toml()
        return self._ask(name, kind, who, recipe, text, {"step": step})

    def try_models(self, name: str, who: str, plan: Plan, about: Mapping[str, Any] | None = None) -> Job:
        """A job that tries models on judged parts. about: more to note of what was asked. Raises DataError for a class
        whose name cannot be a folder."""
        asked = {"models": [model.name for model in plan.models], "parts": len(plan.parts), **(about or {})}
        return self._ask(name, "trial", who, asked=asked, plan=plan)

    def export(self, name: str, who: str, model: str, path: Path, runtime: Literal["onnx", "openvino"]) -> Job:
        """A job that makes a package of a detector. Raises KeyError, MissingExtraError."""
        require("exporting a detector", "train", "onnx", "export", *(("openvino",) if runtime == "openvino" else ()))
        station, data = self.folder.parent, self.data_of(name, model)  # with the station's folder these paths move
        asked = {
            "model": model,
            "path": stored_path(path.resolve(), station),
            "runtime": runtime,
            "data": stored_path(data.resolve(), station) if data else "",
        }
        return self._ask(name, "export", who, asked=asked)

    def learn(self, name: str, who: str, plan: LessonPlan) -> Job:
        """A job that teaches a detector what people judged. Raises DataError, OutputError."""
        asked = {"model": plan.model, "parts": len(plan.defects), "good": len(plan.good), "sure": len(plan.sure)}
        job = self._ask(name, "lesson", who, asked=asked, plan=plan)
        if plan.sure:
            looked = ", ".join(part.part for part in plan.good if part.id in plan.sure)
            text = f"{described(job)}: {who} has looked at good parts that look like defects, they are good: {looked}"
            self.note(name, text, data={"job": job.id, "sure": list(plan.sure)})
        return job

    def made(self, name: str, model: str) -> Job | None:
        """The job that trained or taught a model of a class."""
        return next((j for j in self.queue.jobs(name) if j.model == model and j.kind in ("train", "lesson")), None)

    def data_of(self, name: str, model: str) -> Path | None:
        """The good parts that a model of a class was trained on, where that was here."""
        job = self.made(name, model)
        while job is not None and job.kind == "lesson":
            job = self.made(name, job.asked["model"])
        return job.parts if job else None

    def _ask(
        self,
        name: str,
        kind: Kind,
        who: str,
        recipe: str = "",
        text: str = "",
        asked: Mapping[str, Any] | None = None,
        plan: Plan | LessonPlan | None = None,
    ) -> Job:
        require("teaching a class", "train")
        with self._changing:
            number = self.queue.next_id
            place = self.folder / checked_name(name) / jobs.FOLDER
            while (folder := place / str(number)).exists() or self._made_by(number):
                number += 1  # of one whose record cannot be read, or has gone
            job = Job(number, name, kind, folder, who, times.now(), recipe, text, asked or {})
            if text:
                self[name].collection.snapshot(job.parts)
            if plan:
                plan.write(job)
            self.queue.add(job)
        self.note(name, f"{described(job)}: asked for by {who}", data={"job": number})
        return job

    def cancel(self, number: int, who: str) -> Job:
        """Raises KeyError for a job that is not there or has ended."""
        job = self.queue.cancel(number)
        self.note(job.class_name, f"{described(job)}: cancelled by {who}", data={"job": number})
        return job

    def _made_by(self, number: int) -> bool:
        """Whether a model carries the number of this job."""
        return any(path.name.removesuffix(SUFFIX).endswith(f"-{number}") for path in self._models.glob("*"))

    def _finished(self, job: Job) -> Job:
        """A trained detector, or a package, moves to where it can be loaded from by its name; it does not serve yet."""
        if job.kind == "lesson" and (job.result or {})["refused"]:
            self.note(job.class_name, f"{described(job)}: {_refusal(job.result or {})}", data={"job": job.id})
            return job
        if job.kind in ("train", "lesson"):
            name, made, ending = f"{job.recipe_name or job.kind}-{job.id}", job.folder / jobs.RUN, ""
        elif job.kind == "export":
            name, made, ending = f"{job.asked['model'].replace('/', '-')}-{job.id}", job.folder / jobs.PACKAGE, SUFFIX
        else:
            return job
        place = self._models / f"{name}{ending}"
        try:
            if place.exists():  # the station was killed before it had noted that, or backed up in between
                shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)
            elif made.exists():
                self._models.mkdir(parents=True, exist_ok=True)
                os.replace(made, place)
                folder_to_disk(self._models)
        except OSError as error:
            raise OutputError(f"the model cannot be moved to {place}: {error.strerror or error}") from error
        self.note(job.class_name, f"{described(job)}: done; '{name}' can be loaded", data={"job": job.id})
        return job.changed(model=name)


def _refusal(result: Mapping[str, Any]) -> str:
    reasons = "; ".join(result["reasons"])
    return f"asks for a second look, {reasons}" if result.get("doubtful") else f"refused, {reasons}"


def described(job: Job) -> str:
    return f"job {job.id}, {job.kind}" + (f" by {job.recipe_name}" if job.recipe_name else "")
