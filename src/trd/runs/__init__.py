"""A run: one recipe over one or several classes, each trained and evaluated, in one folder that can be continued.

RUN/run.json                    what was run: recipe, versions, machine, data, state of every class
RUN/CLASS/                      detector, training.json, metrics.json, report.json, logs/, checkpoints/
RUN/metrics.csv metrics.md report.html
RUN/without-SOURCE/             the same three of the stand-ins without a sensor, of RUN/CLASS/without/SOURCE/

Here are the calls that make and score a run; `run` works in its folder, `record` is its run.json, `results` what is
written over all classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from trd.config import DEFAULT_RECIPE, Recipe, load_recipe
from trd.data.listing import class_folders
from trd.detector import Detector
from trd.errors import DataError
from trd.runs.results import REPORT
from trd.runs.run import Run
from trd.training.imported import import_class

__all__ = ["REPORT", "Run", "evaluate", "fit", "import_reference"]


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

    data: a folder of one of the layouts of `data.listing`. classes: all by default. Classes that `out` holds already
    are loaded (and refused where the good parts have changed since, unless `retrain`), an interrupted one goes on. A
    class that fails does not stop the others; then a TRDError tells at the end, and what was finished stays in `out`.
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


def _recipe(recipe: Recipe | str | Path) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
