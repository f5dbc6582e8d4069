"""The unit of work: one class of one variant with one seed, trained and scored in its own folder.

OUT/VARIANT/seed-S/         a run folder as `trd train` makes it
OUT/VARIANT/seed-S/CLASS/   one job's: detector, training.json, metrics.json
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from trd.config import Recipe
from trd.detector import Detector
from trd.errors import TRDError
from trd.evaluation.evaluate import FUSED, METRICS, evaluate_class, read_metrics
from trd.files import locked, write_json
from trd.stored import FACTS
from trd.training.fit import CHECKPOINTS, fit_class, is_finished
from trd.training.prepare import is_complete
from trd.types import ClassFolder


@dataclass(frozen=True)
class Job:
    """recipe: of the variant, with the seed set. out: the run folder OUT/VARIANT/seed-S."""

    variant: str
    seed: int
    class_name: str
    recipe: Recipe
    data: Path
    out: Path

    @property
    def folder(self) -> Path:
        return self.out / self.class_name

    @property
    def title(self) -> str:
        return f"{self.variant}, seed {self.seed}, {self.class_name}"

    def metrics(self) -> dict[str, Any] | None:
        """What has been measured; None where the job is still to be done, or was done by an older version."""
        content = read_metrics(self.folder)
        if content is None or not (self.folder / FACTS).is_file():
            return None
        masked = "aupro_30" in content["maps"][FUSED]
        return content if "sampled_aupro" in content or not masked else None

    def is_done(self) -> bool:
        """Measured, on the parts as they are now. Raises CheckpointError where those were changed since."""
        place = ClassFolder(self.class_name, self.data / self.class_name)
        recipe = self.recipe.for_class(self.class_name)
        return self.metrics() is not None and is_complete(place, recipe, self.folder)


@dataclass(frozen=True)
class Outcome:
    """How a job ended. failure: None, or the reason in one line; details: a traceback where it was unexpected."""

    seconds: float
    failure: str | None = None
    details: str = ""


def run_job(job: Job, device: str = "auto", console: Console | None = None) -> Outcome:
    """Train (from the last checkpoint) and score; an error is an outcome, so that the other jobs go on."""
    begin = time.monotonic()
    try:
        place = ClassFolder(job.class_name, job.data / job.class_name)
        with locked(job.folder, "a job", [CHECKPOINTS]):
            if is_finished(place, job.recipe.for_class(job.class_name), job.folder):
                detector = Detector.load(job.folder, device)
            else:
                detector = fit_class(place, job.recipe, job.folder, device, console)
            write_json(job.folder / METRICS, evaluate_class(detector, place).metrics)
    except TRDError as error:
        return Outcome(time.monotonic() - begin, str(error))
    except Exception as error:  # a fault of ours or of a library must not cost the other jobs
        return Outcome(time.monotonic() - begin, f"unexpected {type(error).__name__}: {error}", traceback.format_exc())
    return Outcome(time.monotonic() - begin)
