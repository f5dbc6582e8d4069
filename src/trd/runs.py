"""A run: one recipe over one or several classes, each trained and evaluated, in one folder that can be continued.

RUN/run.json                    what was run: recipe, versions, machine, data, state of every class
RUN/CLASS/                      detector, training.json, metrics.json, logs/, checkpoints/
RUN/metrics.csv metrics.md report.html
"""

from __future__ import annotations

import json
import platform
import resource
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from trd import processes
from trd.config import DEFAULT_RECIPE, Recipe, load_recipe
from trd.data.listing import class_names, list_class
from trd.detector import FACTS, Detector
from trd.errors import CheckpointError, DataError, TRDError
from trd.evaluation.evaluate import ClassResult, evaluate_class
from trd.evaluation.report import class_section, html_report
from trd.evaluation.tables import class_rows, defect_rows, to_csv, to_markdown
from trd.files import write_json, write_text
from trd.training.fit import fit_class
from trd.training.imported import import_class
from trd.types import UNLABELLED

RUN_FILE, METRICS = "run.json", "metrics.json"
RECORDED = ("torch", "lightning", "numpy", "opencv-python-headless", "scipy", "safetensors")


def fit(
    data: str | Path,
    out: str | Path,
    recipe: Recipe | str | Path = DEFAULT_RECIPE,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> dict[str, Detector]:
    """Train and calibrate detectors; class -> detector.

    data: a folder in the layout of `data.folder`. classes: all by default. Classes that `out` holds already are loaded,
    an interrupted one goes on. A class that fails does not stop the others; then a TRDError tells at the end, and what
    was finished stays in `out`.
    """
    run = Run.open(Path(data), Path(out), _recipe(recipe), classes, console)
    detectors: dict[str, Detector] = {}
    run.each_class(lambda name: detectors.update({name: run.detector(name, device)}), "training")
    run.raise_failures()
    return detectors


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    classes: Sequence[str] | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> dict[str, dict[str, Any]]:
    """Score the test split of every trained class of a run folder; class -> content of metrics.json.

    data: where the run was trained by default. Writes metrics.json per class, metrics.csv, metrics.md and report.html.
    """
    opened = Run.reopen(Path(run), None if data is None else Path(data), classes, console)
    metrics = opened.evaluate(device)
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
    chosen = _chosen(Path(data), None if class_name is None else [class_name])
    if len(chosen) != 1:
        raise DataError(f"{data} holds {len(chosen)} classes, the checkpoint is of one: name it with --class")
    run = Run.open(Path(data), Path(out), _recipe(recipe), chosen, console)
    (name,) = chosen
    return import_class(Path(file), run.data, name, run.recipe, run.folder(name), device, console)


class Run:
    """One run folder. Its state lives in the files; this object only walks them."""

    def __init__(
        self, data: Path, out: Path, recipe: Recipe, classes: tuple[str, ...], console: Console | None
    ) -> None:
        self.data, self.out, self.recipe, self.classes = data, out, recipe, classes
        self.console = console or Console(quiet=True)
        self.failures: dict[str, str] = {}

    @classmethod
    def open(
        cls, data: Path, out: Path, recipe: Recipe, classes: Sequence[str] | None, console: Console | None = None
    ) -> Run:
        """A new run, or the continuation of the same one. Raises CheckpointError when `out` holds another recipe."""
        chosen = _chosen(data, classes)
        run = cls(data, out, recipe, chosen, console)
        record = run._read()
        if record and record.get("data") != str(data.resolve()):
            raise CheckpointError(
                f"{out} holds a run on other data ({record.get('data')}): choose another --out, or delete that folder"
            )
        if record and _recorded(record) != recipe.identity():
            raise CheckpointError(
                f"{out} holds a run of another recipe ('{record.get('recipe', {}).get('name')}', or other values): "
                "choose another --out, or delete that folder"
            )
        before = [name for name in record.get("classes", []) if name not in chosen]
        facts = run._facts()
        if "started" in record:
            facts["continued"] = [*record.get("continued", []), facts.pop("started")]
        run._write({**record, **facts, "classes": [*before, *chosen]})
        return run

    @classmethod
    def reopen(cls, out: Path, data: Path | None, classes: Sequence[str] | None, console: Console | None = None) -> Run:
        """A run folder as `fit` left it. Raises CheckpointError when it is none."""
        run = cls(data or Path(), out, load_recipe(DEFAULT_RECIPE), (), console)
        record = run._read()
        if not record:
            raise CheckpointError(
                f"{out} is no run folder ({RUN_FILE} is missing); give the folder of `trd train --out`"
            )
        run.data = data or Path(record["data"])
        try:
            run.recipe = Recipe.model_validate(record["recipe"])
            run.classes = tuple(classes) if classes else tuple(record["classes"])
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{out / RUN_FILE} is damaged or of another version: {error}") from error
        return run

    def folder(self, name: str) -> Path:
        """Of one class; the class of a data folder that is itself one class is called by that folder's name."""
        return self.out / (name or self.data.resolve().name)

    def detector(self, name: str, device: str) -> Detector:
        """Trained before, or now."""
        folder = self.folder(name)
        if (folder / FACTS).is_file():
            return Detector.load(folder, device)
        return fit_class(self.data, name, self.recipe, folder, device, self.console)

    def each_class(self, work: Callable[[str], object], stage: str) -> None:
        """Do `work` for every class; a TRDError is noted and the next class goes on.

        Of several processes, one cannot go on without the others: there the first error ends the run.
        """
        for name in self.classes:
            begin = time.monotonic()
            try:
                work(name)
                state: dict[str, Any] = {"state": "done", "seconds": time.monotonic() - begin}
            except TRDError as error:
                if processes.count() > 1:
                    raise
                self.failures[name] = f"{stage}: {error}"
                state = {"state": "failed", "reason": str(error)}
                self.console.print(f"[red]{self.folder(name).name}: {stage} failed[/red]: ", end="")
                self.console.print(str(error), markup=False)
            except Exception as error:  # a fault of ours or of a library must not cost the other classes
                if processes.count() > 1:
                    raise
                self.failures[name] = f"{stage}: unexpected {type(error).__name__}: {error}"
                state = {"state": "failed", "reason": traceback.format_exc()}
                self.console.print_exception()
            self.note(name, stage, state)

    def raise_failures(self) -> None:
        if self.failures:
            names = ", ".join(name or str(self.data) for name in self.failures)
            reasons = "\n".join(f"  {reason}" for reason in self.failures.values())
            raise TRDError(f"{len(self.failures)} of {len(self.classes)} classes failed ({names}):\n{reasons}")

    def train_and_evaluate(self, device: str) -> dict[str, dict[str, Any]]:
        """The whole job; classes without a test split are trained only."""

        def work(name: str) -> None:
            if not (self.folder(name) / FACTS).is_file():
                self.detector(name, device)

        self.each_class(work, "training")
        if processes.rank() > 0:
            return {}
        failed = set(self.failures)
        with_test = [name for name in self.classes if name not in failed and self._has_labelled_test(name)]
        if with_test and not failed and self._evaluated(with_test):
            self.console.print(f"{self.out} is complete: nothing to do (`trd evaluate` scores the test split again)")
            return {
                self.folder(name).name: json.loads((self.folder(name) / METRICS).read_text("utf-8"))
                for name in with_test
            }
        return self.evaluate(device, with_test) if with_test else {}

    def evaluate(self, device: str, names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        """Evaluate classes (all by default) and write tables and report over those that could be."""
        sections: list[dict[str, Any]] = []

        def work(name: str) -> None:
            detector = Detector.load(self.folder(name), device)
            result: ClassResult = evaluate_class(detector, self.data, name, self.folder(name), self.console)
            self.console.print(
                f"{result.class_name}: I-AUROC {result.metrics['fused']['image_auroc']:.3f} on {len(result.ids)} parts "
                f"in {result.seconds:.0f} s"
            )
            sections.append(class_section(detector, result))

        chosen, self.classes = self.classes, tuple(names if names is not None else self.classes)
        self.each_class(work, "evaluation")
        self.classes = chosen
        metrics = {section["name"]: section["metrics"] for section in sections}
        if metrics:
            rows = class_rows(metrics)
            write_text(self.out / "metrics.csv", to_csv(rows))
            kinds = "\n## Fused map by defect kind\n\n" + to_markdown(defect_rows(metrics))
            write_text(self.out / "metrics.md", f"# {self.recipe.name}\n\n" + to_markdown(rows) + kinds)
        facts = {key: value for key, value in self._facts().items() if isinstance(value, str)}
        write_text(self.out / "report.html", html_report(f"TRD: {self.recipe.name}", facts, sections, self.failures))
        return metrics

    def _evaluated(self, names: Sequence[str]) -> bool:
        """Whether metrics and report are there and newer than every detector."""
        report = self.out / "report.html"
        results = [report, *(self.folder(name) / METRICS for name in names)]
        if not all(path.is_file() for path in results):
            return False
        trained = max((self.folder(name) / FACTS).stat().st_mtime_ns for name in names)
        return min(path.stat().st_mtime_ns for path in results) > trained

    def _has_labelled_test(self, name: str) -> bool:
        files = list_class(self.data, name, self.recipe.sources, self.recipe.point_cloud_sources)
        return bool(files.test) and all(sample.defect != UNLABELLED for sample in files.test)

    def _facts(self) -> dict[str, Any]:
        return {
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "data": str(self.data.resolve()),
            "classes": list(self.classes),
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.recipe.training.seed,
            "trd": metadata.version("trd-anomaly"),
            "python": platform.python_version(),
            "versions": {name: metadata.version(name) for name in RECORDED},
            "processor": torch.cuda.get_device_name() if torch.cuda.is_available() else _processor(),
            "processes": processes.count(),
            "threads": torch.get_num_threads(),
            "command": " ".join(sys.argv),
        }

    def note(self, name: str, stage: str, state: dict[str, Any]) -> None:
        """Record how a stage of one class went."""
        record = self._read()
        entry = record.setdefault("progress", {}).setdefault(name or self.data.resolve().name, {})
        entry[stage] = {**state, "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        self._write(record)

    def _read(self) -> dict[str, Any]:
        path = self.out / RUN_FILE
        if not path.exists():
            return {}
        try:
            record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; choose another --out or delete the folder") from error
        return record

    def _write(self, record: dict[str, Any]) -> None:
        if processes.rank() == 0:
            write_json(self.out / RUN_FILE, record)


def _recipe(recipe: Recipe | str | Path) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)


def _recorded(record: dict[str, Any]) -> dict[str, Any] | None:
    """The identity of the recipe of a run.json; None for a foreign record."""
    try:
        return Recipe.model_validate(record.get("recipe")).identity()
    except ValueError:
        return None


def _processor() -> str:
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.machine())


def _chosen(data: Path, classes: Sequence[str] | None) -> tuple[str, ...]:
    """The classes to work on; ("",) where `data` is itself one class. Raises DataError for one it does not hold."""
    known = class_names(data)
    if not classes or (known == ("",) and list(classes) == [data.resolve().name]):
        return known
    unknown = [name for name in classes if name not in known]
    if unknown:
        names = ", ".join(name or data.resolve().name for name in known)
        raise DataError(f"{data} holds no class '{unknown[0]}'; there are: {names}")
    return tuple(classes)
