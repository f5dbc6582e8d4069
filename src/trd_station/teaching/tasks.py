"""What a job does, each with the library's own functions. Only the worker's process calls these: they load PyTorch."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from trd.config import recipe_from_toml
from trd.files import write_bytes
from trd.types import ClassFolder
from trd_station.shelf.discovery import path_of
from trd_station.teaching.jobs import PACKAGE, PICTURES, RUN, Job
from trd_station.teaching.learning import lesson
from trd_station.teaching.trial import trial

Task = Callable[[Job, Console], dict[str, Any]]


def check(job: Job, console: Console) -> dict[str, Any]:
    """As `trd check` on the collection; pictures go into the job's folder."""
    from trd.check.check import LOOK, ClassCheck, PartPicture, check_class

    place = ClassFolder(job.class_name, job.parts)
    checked: ClassCheck = check_class(place, recipe_from_toml(job.recipe, job.recipe_name), console)

    def shown(group: str, parts: tuple[PartPicture, ...]) -> list[dict[str, Any]]:
        listed = []
        for number, part in enumerate(parts):
            names = {}
            for order, (label, data) in enumerate(part.pictures):
                names[label] = f"{group}-{number}-{order}.jpg"
                picture = base64.b64decode(data.partition(",")[2])
                write_bytes(job.folder / PICTURES / names[label], picture, durable=False)
            listed.append(
                {"name": part.id.rpartition("/")[2], "strangeness": round(part.strangeness, 2), "pictures": names}
            )
        return listed

    return {
        "problems": list(checked.problems),
        "warnings": list(checked.warnings),
        "facts": checked.facts,
        "look_above": LOOK,
        "strangest": shown("strange", checked.strangest),
        "ordinary": shown("ordinary", checked.ordinary),
    }


def train(job: Job, console: Console) -> dict[str, Any]:
    """As `trd train`, into the job's folder; goes on from a checkpoint."""
    from trd.detector import Detector
    from trd.training.fit import fit_class, is_finished

    place, recipe = ClassFolder(job.class_name, job.parts), recipe_from_toml(job.recipe, job.recipe_name)
    out = job.folder / RUN
    if is_finished(place, recipe, out):
        detector = Detector.load(out, "cpu")
    else:
        detector = fit_class(place, recipe, out, str(job.asked.get("device", "auto")), console)
    threshold = detector.calibration.image_threshold
    return {
        "detector": detector.facts.id,
        "guaranteed_rate": threshold.guaranteed_rate,
        "promise": detector.calibration.promise,
        "good_count": threshold.count,
    }


def export(job: Job, console: Console) -> dict[str, Any]:
    """As `trd export`, of a detector that was taught here."""
    from trd.export.export import ExportJob
    from trd.export.export import export as exported

    data = path_of(job.asked["data"], job.data) if job.asked["data"] else None
    package = job.folder / PACKAGE
    made = exported(ExportJob(path_of(job.asked["path"], job.data), package, job.asked["runtime"], data=data), console)
    return {
        "parts": {name: split.parts for name, split in made.equivalence.splits.items()},
        "largest_score_difference": max(split.score for split in made.equivalence.splits.values()),
        "decided_otherwise": sum(len(split.flipped) for split in made.equivalence.splits.values()),
        "bytes": package.stat().st_size,
    }


TASKS: Mapping[str, Task] = {"check": check, "train": train, "trial": trial, "export": export, "lesson": lesson}
