"""A run: one recipe over one or several classes, each trained and evaluated, in one folder that can be continued.

RUN/run.json                    what was run: recipe, versions, machine, data, state of every class
RUN/CLASS/                      detector, training.json, metrics.json, report.json, logs/, checkpoints/
RUN/metrics.csv metrics.md report.html
RUN/without-SOURCE/             the same three of the stand-ins without a sensor, of RUN/CLASS/without/SOURCE/
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from trd import processes
from trd.config import DEFAULT_RECIPE, Recipe, load_recipe
from trd.data.listing import class_folders, list_class
from trd.detector import Detector
from trd.errors import CheckpointError, DataError, RecipeError, TRDError
from trd.evaluation.evaluate import METRICS, evaluate_class, read_metrics
from trd.evaluation.report import SECTION, class_section, html_report
from trd.evaluation.tables import class_rows, defect_rows, to_csv, to_markdown
from trd.files import locked, write_json, write_text
from trd.stored import FACTS, WITHOUT
from trd.training.fit import CHECKPOINTS, fit_class, is_finished
from trd.training.imported import import_class
from trd.training.prepare import RECORD
from trd.types import UNLABELLED, ClassFolder

RUN_FILE, REPORT = "run.json", "report.html"
RETRAINING = "retraining"  # in run.json: class -> whether `--retrain` has begun with it; until all are done
OPENING = 2.0  # seconds to wait for another process that only notes something
RECORDED = ("torch", "lightning", "numpy", "opencv-python-headless", "safetensors")


def fit(
    data: str | Path,
    out: str | Path,
    recipe: Recipe | str | Path = DEFAULT_RECIPE,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    console: Console | None = None,
    retrain: bool = False,
) -> dict[str, Detector]:
    """Train and calibrate detectors; class -> detector.

    data: a folder in the layout of `data.folder`. classes: all by default. Classes that `out` holds already are loaded
    (and refused where the good parts have changed since, unless `retrain`), an interrupted one goes on. A class that
    fails does not stop the others; then a TRDError tells at the end, and what was finished stays in `out`.
    """
    run = Run.open(Path(data), Path(out), _recipe(recipe), classes, console)
    detectors: dict[str, Detector] = {}
    with run.alone():
        run.train_each(lambda place: detectors.update({place.name: run.trained(place, device, retrain)}), retrain)
    run.raise_failures()
    return detectors


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    console: Console | None = None,
    without: str = "",
) -> dict[str, dict[str, Any]]:
    """Score the test split of every trained class of a run folder; class -> content of metrics.json.

    data: where the run was trained by default. without: a source; the stand-ins that do without it are scored. Writes
    metrics.json per class, metrics.csv, metrics.md and report.html.
    """
    opened = Run.reopen(Path(run), None if data is None else Path(data), classes, console)
    with opened.alone():
        metrics = opened.evaluate(device, opened.classes, without)
    opened.raise_failures()
    return metrics


def import_reference(
    file: str | Path,
    data: str | Path,
    out: str | Path,
    recipe: Recipe | str | Path,
    class_name: str | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> Detector:
    """A run folder from a checkpoint of the reference implementation, calibrated on the data's validation split.

    class_name: the class that the weights are of; needed where `data` holds several. More classes can be imported into
    the same folder one after another.
    """
    places = class_folders(Path(data), None if class_name is None else [class_name])
    if len(places) != 1:
        raise DataError(f"{data} holds {len(places)} classes, the checkpoint is of one: name it with --class")
    (place,) = places
    run = Run.open(Path(data), Path(out), _recipe(recipe), [place.name], console)
    with run.alone():
        return import_class(Path(file), place, run.recipe, run.folder(place.name), device, console)


class Run:
    """One run folder. Its state lives in the files; this object only walks them.

    classes: those that this call works on; run.json names all that were ever worked on.
    """

    def __init__(
        self, data: Path, out: Path, recipe: Recipe, classes: tuple[ClassFolder, ...], console: Console | None
    ) -> None:
        self.data, self.out, self.recipe, self.classes = data, out, recipe, classes
        self.console = console or Console(quiet=True)
        self.failures: dict[str, str] = {}

    @classmethod
    def open(
        cls, data: Path, out: Path, recipe: Recipe, classes: Sequence[str] | None, console: Console | None = None
    ) -> Run:
        """A new run, or the continuation of the same one. Raises CheckpointError when `out` holds another recipe."""
        run = cls(data, out, recipe, class_folders(data, classes), console)
        with run.alone(OPENING):
            run._enter()
        return run

    def _enter(self) -> None:
        """Note this start in run.json. Raises CheckpointError when it is of another recipe or other data."""
        record, data, out, recipe = self._read(), self.data, self.out, self.recipe
        if record and record.get("data") != str(data.resolve()):
            raise CheckpointError(
                f"{out} holds a run on other data ({record.get('data')}): choose another --out, or delete that folder"
            )
        if record and _recorded(record) != recipe.identity():
            raise CheckpointError(
                f"{out} holds a run of another recipe ('{record.get('recipe', {}).get('name')}', or other values): "
                "choose another --out, or delete that folder"
            )
        facts = self._facts()
        if record:
            facts["continued"] = [*record.get("continued", []), facts.pop("started")]
        known = _class_names(record)
        names = [*known, *(place.name for place in self.classes if place.name not in known)]
        self._write({**record, **facts, "classes": names})

    @classmethod
    def reopen(cls, out: Path, data: Path | None, classes: Sequence[str] | None, console: Console | None = None) -> Run:
        """A run folder as `fit` left it. Raises CheckpointError when it is none."""
        run = cls(data or Path(), out, load_recipe(DEFAULT_RECIPE), (), console)
        record = run._read()
        if not record:
            raise CheckpointError(
                f"{out} is no run folder ({RUN_FILE} is missing); give the folder of `trd train --out`"
            )
        try:
            run.data = data or Path(record["data"])
            run.recipe = Recipe.model_validate(record["recipe"])
            names = _class_names(record)
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{out / RUN_FILE} is damaged or of another version: {error}") from error
        unknown = [name for name in classes or () if name not in names]
        if unknown:
            raise DataError(f"{out} holds no class '{unknown[0]}'; there are: {', '.join(names)}")
        run.classes = class_folders(run.data, classes or names, any_name=True)
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
        if retrain and not self._read()[RETRAINING][place.name]:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
            (folder / RECORD).unlink(missing_ok=True)
            self._retraining_begun(place.name)
        return not is_finished(place, self.recipe.for_class(place.name), folder)

    def _begin_retraining(self) -> None:
        """Note which classes are to be trained anew, if that was not begun before: an interrupted call goes on.

        Raises RecipeError under torchrun, whose other processes would take the old detector for the new one.
        """
        if processes.count() > 1:
            raise RecipeError("--retrain works in one process: delete the class's folder, or choose another --out")
        record = self._read()
        asked = dict.fromkeys((place.name for place in self.classes), False)
        self._write({**record, RETRAINING: asked | record.get(RETRAINING, {})})

    def _retraining_begun(self, name: str) -> None:
        record = self._read()
        record[RETRAINING][name] = True
        self._write(record)

    def _end_retraining(self) -> None:
        record = self._read()
        done = {place.name for place in self.classes}
        left = {name: begun for name, begun in record.pop(RETRAINING).items() if name not in done}
        self._write({**record, **({RETRAINING: left} if left else {})})

    def each_class(
        self, work: Callable[[ClassFolder], object], classes: Sequence[ClassFolder], stage: str
    ) -> list[ClassFolder]:
        """Do `work` for every class; a TRDError is noted and the next class goes on. Those that succeeded come back.

        Of several processes, one cannot go on without the others: there the first error ends the run.
        """
        done = []
        for place in classes:
            begin = time.monotonic()
            try:
                work(place)
                done.append(place)
                state: dict[str, Any] = {"state": "done", "seconds": time.monotonic() - begin}
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
            self.note(place.name, stage, state)
        return done

    def raise_failures(self) -> None:
        if self.failures:
            reasons = "\n".join(f"  {reason}" for reason in self.failures.values())
            raise TRDError(f"{len(self.failures)} of {len(self.classes)} classes failed:\n{reasons}")

    def train_each(self, work: Callable[[ClassFolder], object], retrain: bool) -> list[ClassFolder]:
        """`each_class` for training, where `retrain` says that every class is to be trained anew, once."""
        if retrain:
            self._begin_retraining()
        done = self.each_class(work, self.classes, "training")
        if retrain and len(done) == len(self.classes):
            self._end_retraining()
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
            return {place.name: found for place in tested if (found := read_metrics(self.folder(place.name)))}

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

        done = self.each_class(work, classes, _stage("evaluation", without))
        self.write_results(without)
        return {place.name: read_metrics(self.folder(place.name, without)) or {} for place in done}

    def write_results(self, without: str = "") -> None:
        """metrics.csv, metrics.md and report.html over all classes that have results."""
        names, out, title = _class_names(self._read()), self.results(without), _stage(self.recipe.name, without)
        metrics = {name: found for name in names if (found := read_metrics(self.folder(name, without)))}
        if metrics:
            rows = class_rows(metrics)
            write_text(out / "metrics.csv", to_csv(rows))
            kinds = "\n## Fused map by defect kind\n\n" + to_markdown(defect_rows(metrics))
            write_text(out / "metrics.md", f"# {title}\n\n" + to_markdown(rows) + kinds)
        sections = [section for name in names if (section := _read_section(self.folder(name, without)))]
        facts = {key: value for key, value in self._facts().items() if isinstance(value, str)}
        write_text(out / REPORT, html_report(f"TRD: {title}", facts, metrics, sections, self.failures))

    def results(self, without: str = "") -> Path:
        """The folder of tables and report over all classes."""
        return self.out / f"{WITHOUT}-{without}" if without else self.out

    def _evaluated(self, name: str) -> bool:
        """Whether a class's metrics and report are there, newer than its detector, and noted."""
        noted = self._read().get("progress", {}).get(name, {}).get("evaluation", {}).get("state")
        results = [self.folder(name) / file for file in (METRICS, SECTION)]
        if noted != "done" or not all(path.is_file() for path in results):
            return False
        trained = (self.folder(name) / FACTS).stat().st_mtime_ns
        return min(path.stat().st_mtime_ns for path in results) > trained

    def _reported(self, places: Sequence[ClassFolder]) -> bool:
        """Whether the report, which is written last, is as new as these classes' results."""
        results = [self.folder(place.name) / file for place in places for file in (METRICS, SECTION)]
        report = self.out / REPORT
        return report.is_file() and report.stat().st_mtime_ns >= max(path.stat().st_mtime_ns for path in results)

    def _with_labelled_test(self, places: Sequence[ClassFolder]) -> list[ClassFolder]:
        """Those of the classes that can be evaluated; one whose test split cannot be listed is a failure."""
        tested: list[ClassFolder] = []

        def work(place: ClassFolder) -> None:
            recipe = self.recipe.for_class(place.name)
            files = list_class(place.path, "", recipe.sources, recipe.point_cloud_sources)
            if files.test and all(sample.defect != UNLABELLED for sample in files.test):
                tested.append(place)

        self.each_class(work, places, "listing")
        return tested

    def _facts(self) -> dict[str, Any]:
        from trd.compute.precision import processor_name  # torch: for who trains and evaluates

        return {
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "data": str(self.data.resolve()),
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.recipe.seed,
            "trd": metadata.version("trd-anomaly"),
            "python": platform.python_version(),
            "versions": {name: metadata.version(name) for name in RECORDED},
            "processor": processor_name(),
            "processes": processes.count(),
            "command": " ".join(sys.argv),
        }

    def note(self, name: str, stage: str, state: dict[str, Any]) -> None:
        """Record how a stage of one class went."""
        record = self._read()
        entry = record.setdefault("progress", {}).setdefault(name, {})
        entry[stage] = {**state, "peak_memory_mb": processes.peak_memory_mb()}
        self._write(record)

    def has_noted(self, name: str, stage: str) -> bool:
        return stage in self._read().get("progress", {}).get(name, {})

    def _read(self) -> dict[str, Any]:
        path = self.out / RUN_FILE
        if not path.exists():
            return {}
        try:
            record = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; choose another --out or delete the folder") from error
        if not isinstance(record, dict):
            raise CheckpointError(f"{path} is damaged: no object; choose another --out or delete the folder")
        return record

    def _write(self, record: dict[str, Any]) -> None:
        if processes.rank() == 0:
            write_json(self.out / RUN_FILE, record)


def _stage(name: str, without: str) -> str:
    return f"{name} without {without}" if without else name


def _recipe(recipe: Recipe | str | Path) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def _recorded(record: dict[str, Any]) -> dict[str, Any] | None:
    """The identity of the recipe of a run.json; None for a foreign record."""
    try:
        return Recipe.model_validate(record.get("recipe")).identity()
    except ValueError:
        return None


def _class_names(record: dict[str, Any]) -> list[str]:
    """Of run.json; version 0.1 wrote "" for the class of a folder that is itself one class."""
    return [name or Path(record["data"]).name for name in record.get("classes", [])]


def _read_section(folder: Path) -> dict[str, Any] | None:
    """A class's part of the report; None where it has not been evaluated."""
    try:
        section: dict[str, Any] = json.loads((folder / SECTION).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return section
