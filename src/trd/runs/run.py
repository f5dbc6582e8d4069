"""Class `Run`: trains and evaluates the classes of one run folder, and goes on where it stopped."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from trd import processes
from trd.config import DEFAULT_RECIPE, Recipe, load_recipe
from trd.data.listing import class_folders, list_class
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, MissingExtraError, TRDError
from trd.evaluation.evaluate import METRICS, evaluate_class, read_metrics
from trd.evaluation.kinds import kind_summary
from trd.evaluation.report import SECTION, class_section
from trd.extras import explained
from trd.files import locked, write_json
from trd.runs.record import RUN_FILE, Record, facts_of
from trd.runs.results import is_evaluated, is_reported, write_tables
from trd.stored import WITHOUT
from trd.training.fit import CHECKPOINTS, fit_class, is_finished
from trd.training.prepare import RECORD
from trd.types import UNLABELLED, ClassFolder

OPENING = 2.0  # seconds to wait for another process that only notes something


class Run:
    """One run folder. Its state lives in the files; this object only walks them.

    classes: those that this call works on; run.json names all that were ever worked on.
    """

    def __init__(
        self, data: Path, out: Path, recipe: Recipe, classes: tuple[ClassFolder, ...], console: Console | None
    ) -> None:
        self.data, self.out, self.recipe, self.classes = data, out, recipe, classes
        self.record = Record(out)
        self.console = console or Console(quiet=True)
        self.failures: dict[str, str] = {}

    @classmethod
    def open(
        cls, data: Path, out: Path, recipe: Recipe, classes: Sequence[str] | None, console: Console | None = None
    ) -> Run:
        """A new run, or the continuation of the same one. Raises CheckpointError when `out` holds another recipe."""
        run = cls(data, out, recipe, class_folders(data, classes, views=recipe.views.names), console)
        with run.alone(OPENING):
            run.record.enter(data, recipe, [place.name for place in run.classes])
        return run

    @classmethod
    def reopen(cls, out: Path, data: Path | None, classes: Sequence[str] | None, console: Console | None = None) -> Run:
        """A run folder as `fit` left it. Raises CheckpointError when it is none."""
        run = cls(data or Path(), out, load_recipe(DEFAULT_RECIPE), (), console)
        record = run.record.read()
        if not record:
            raise CheckpointError(
                f"{out} is no run folder ({RUN_FILE} is missing); give the folder of `trd train --out`"
            )
        try:
            run.data = data or Path(record["data"])
            run.recipe = Recipe.model_validate(record["recipe"])
            names = list(record.get("classes", []))
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{out / RUN_FILE} is damaged or of another version: {error}") from error
        unknown = [name for name in classes or () if name not in names]
        if unknown:
            raise DataError(f"{out} holds no class '{unknown[0]}'; there are: {', '.join(names)}")
        run.classes = class_folders(run.data, classes or names, any_name=True, views=run.recipe.views.names)
        return run

    def alone(self, wait: float = 0.0) -> AbstractContextManager[object]:
        """Context in which no other process may work in this run folder. Raises OutputError where one does, after
        `wait` seconds."""
        if processes.rank() > 0:
            return nullcontext()
        inside = [f"{place.name}{below}" for place in self.classes for below in ("", f"/{CHECKPOINTS}")]
        return locked(self.out, "a run", inside, wait)

    def folder(self, name: str, without: str = "") -> Path:
        """Of a class's detector and results, or of its stand-in's."""
        return self.out / name / WITHOUT / without if without else self.out / name

    def trained(self, place: ClassFolder, device: str, retrain: bool = False) -> Detector:
        """The detector of a class, trained before or now."""
        folder = self.folder(place.name)
        if self._train_where_needed(place, folder, retrain):
            return fit_class(place, self.recipe, folder, device, self.console)
        return Detector.load(folder, device)

    def _train_where_needed(self, place: ClassFolder, folder: Path, retrain: bool) -> bool:
        """Whether there is training to do. Raises CheckpointError where the parts have changed since."""
        if retrain and not self.record.has_begun_retraining(place.name):
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
            (folder / RECORD).unlink(missing_ok=True)
            self.record.note_retraining(place.name)
        return not is_finished(place, self.recipe.for_class(place.name), folder)

    def each_class(
        self, work: Callable[[ClassFolder], object], classes: Sequence[ClassFolder], stage: str
    ) -> list[ClassFolder]:
        """Do `work` for every class; a TRDError is noted and the next class goes on. Those that succeeded come back.

        Of several processes, one cannot go on without the others: there the first error ends the run. A package that is
        not installed ends it too: the other classes need it as well.
        """
        done = []
        for place in classes:
            begin = time.monotonic()
            try:
                with explained(stage):
                    work(place)
                done.append(place)
                state: dict[str, Any] = {"state": "done", "seconds": time.monotonic() - begin}
            except MissingExtraError:
                raise
            except TRDError as error:
                if processes.count() > 1:
                    raise
                self.failures[place.name] = f"{place.name}: {stage}: {error}"
                state = {"state": "failed", "reason": str(error)}
            except Exception as error:  # a fault of ours or of a library must not cost the other classes
                if processes.count() > 1:
                    raise
                self.failures[place.name] = f"{place.name}: {stage}: unexpected {type(error).__name__}: {error}"
                state = {"state": "failed", "reason": traceback.format_exc()}
                self.console.print_exception()
            if state["state"] == "failed":
                self.console.print(f"{place.name}: {stage} failed", style="red", markup=False)
            self.record.note(place.name, stage, state)
        return done

    def raise_failures(self) -> None:
        if self.failures:
            reasons = "\n".join(f"  {reason}" for reason in self.failures.values())
            raise TRDError(f"{len(self.failures)} of {len(self.classes)} classes failed:\n{reasons}")

    def train_each(self, work: Callable[[ClassFolder], object], retrain: bool) -> list[ClassFolder]:
        """`each_class` for training, where `retrain` says that every class is to be trained anew, once."""
        names = [place.name for place in self.classes]
        if retrain:
            self.record.begin_retraining(names)
        done = self.each_class(work, self.classes, "training")
        if retrain and len(done) == len(self.classes):
            self.record.end_retraining(names)
        return done

    def train_and_evaluate(self, device: str, retrain: bool = False) -> dict[str, dict[str, Any]]:
        """The whole job; classes without a test split are trained only."""
        news: list[str] = []

        def work(place: ClassFolder) -> None:
            folder = self.folder(place.name)
            if self._train_where_needed(place, folder, retrain):
                fit_class(place, self.recipe, folder, device, self.console)
                news.append(place.name)

        with self.alone():
            done = self.train_each(work, retrain)
            if processes.rank() > 0:
                return {}
            tested = self._with_labelled_test(done)
            stale = [place for place in tested if place.name in news or not self._evaluated(place.name)]
            if tested and not stale and not self.failures and self._reported(tested):
                self.console.print(
                    f"{self.out} is complete: nothing to do (`trd evaluate` scores the test split again)"
                )
            elif tested:
                self.evaluate(device, stale)
            return {place.name: metrics for place in tested if (metrics := read_metrics(self.folder(place.name)))}

    def evaluate(self, device: str, classes: Sequence[ClassFolder], without: str = "") -> dict[str, dict[str, Any]]:
        """Evaluate these classes; tables and report cover all classes of the run that have results.

        What could not be evaluated keeps its earlier results, and the report says so. without: a source; its stand-ins
        are evaluated, into files of their own.
        """

        def work(place: ClassFolder) -> None:
            folder = self.folder(place.name, without)
            detector = Detector.load(self.folder(place.name), device, without=without)
            result = evaluate_class(detector, place, self.console)
            with self.console.status(escape(f"{place.name}: report")):
                section = class_section(detector, result)
            write_json(folder / METRICS, result.metrics)
            write_json(folder / SECTION, section)
            self.console.print(
                f"{place.name}: I-AUROC {result.metrics['maps']['fused']['image_auroc']:.3f} on {len(result.ids)} "
                f"parts in {result.seconds:.0f} s",
                markup=False,
            )
            if kinds := result.metrics.get("kinds"):
                self.console.print(f"{place.name}: {kind_summary(kinds)}", markup=False, highlight=False)

        done = self.each_class(work, classes, _stage("evaluation", without))
        self.write_results(without)
        return {place.name: read_metrics(self.folder(place.name, without)) or {} for place in done}

    def write_results(self, without: str = "") -> None:
        """metrics.csv, metrics.md and report.html over all classes that have results."""
        folders = {name: self.folder(name, without) for name in self.record.class_names()}
        title, facts = _stage(self.recipe.name, without), facts_of(self.data, self.recipe)
        write_tables(self.results(without), title, folders, facts, self.failures)

    def results(self, without: str = "") -> Path:
        """The folder of tables and report over all classes."""
        return self.out / f"{WITHOUT}-{without}" if without else self.out

    def _evaluated(self, name: str) -> bool:
        """Whether a class's metrics and report are there, newer than its detector, and noted."""
        return self.record.is_done(name, "evaluation") and is_evaluated(self.folder(name))

    def _reported(self, places: Sequence[ClassFolder]) -> bool:
        return is_reported(self.out, [self.folder(place.name) for place in places])

    def _with_labelled_test(self, places: Sequence[ClassFolder]) -> list[ClassFolder]:
        """Those of the classes that can be evaluated; one whose test split cannot be listed is a failure."""
        tested: list[ClassFolder] = []

        def work(place: ClassFolder) -> None:
            recipe = self.recipe.for_class(place.name)
            files = list_class(place.path, "", recipe.inputs, recipe.point_cloud_sources)
            if files.test and all(sample.defect != UNLABELLED for sample in files.test):
                tested.append(place)

        self.each_class(work, places, "listing")
        return tested


def _stage(name: str, without: str) -> str:
    return f"{name} without {without}" if without else name
