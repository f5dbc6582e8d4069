"""Commands that train and measure: demo, train, evaluate, import-reference."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trd.cli.app import (
    ClassesOption,
    DataOption,
    DeviceOption,
    RecipeOption,
    SetOption,
    WithoutOption,
    app,
    console,
    interruptible,
    names,
)
from trd.config import DEFAULT_RECIPE
from trd.errors import DataError
from trd.extras import require

if TYPE_CHECKING:  # at run time each command imports what it needs, so that `trd --help` does not wait for torch
    from trd.runs import Run


TEACHING = (
    "the station is empty. On its page:",
    "1. Teach, New class: call it '{name}' (a picture and a 3D file)",
    "2. Choose a folder: {folder}; its test parts and masks are left out",
    "3. Check the parts, train the first detector, put it in service: test parts now come along the line",
    "4. judge parts in Review; train the network, try it on the judged parts, put it in service, roll back",
)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, run and report.")] = Path("trd-demo"),
    seed: Annotated[int, typer.Option(help="Of the drawn parts.")] = 0,
    station: Annotated[
        bool, typer.Option("--station", help="Teach the drawn parts to an empty station instead, extra 'serve'.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the station.")] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the station's page.")] = True,
) -> None:
    """Draw a small RGB + 3D data set, train on its good parts, evaluate, and write a report (about a minute).

    With --station the page leads through teaching, and the drawn test parts come along the line once a model serves.
    """
    require("trd demo", "train", "report", *(("serve",) if station else ()))
    from trd.config import load_recipe
    from trd.data.demo import CLASS_NAME, draw_demo
    from trd.runs import Run

    data = out / "data"
    draw_demo(data, seed=seed)
    console.print(f"drew {data / CLASS_NAME}")
    if station:
        for line in TEACHING:
            console.print(line.format(name=CLASS_NAME, folder=data / CLASS_NAME), highlight=False)
        replay = ("--replay", f"{CLASS_NAME}={data / CLASS_NAME}", "--every", "3")
        settings = ("--data", str(out / "station"), "--name", "demo", "--port", str(port))
        audit = ("--audit", "0.1")  # of few parts, some for the review queue
        app(["serve", *settings, *replay, *audit, *(("--browser",) * browser)], standalone_mode=False)
        return
    run = Run.open(data, out / "run", load_recipe("demo"), [CLASS_NAME], console)
    _finish(run, "auto")


@app.command()
def train(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="Run folder; the same one again goes on where it stopped.")],
    recipe: RecipeOption = DEFAULT_RECIPE,
    classes: ClassesOption = None,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train anew, also what is finished; the new detector replaces the old.")
    ] = False,
) -> None:
    """Train and calibrate a detector per class; evaluate where there is a test split."""
    require("trd train", "train", "report")
    from trd.config import load_recipe
    from trd.runs import Run

    run = Run.open(data, out, load_recipe(recipe, overrides or ()), names(classes), console)
    _finish(run, device, retrain)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder, or a package.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="By default where the run was trained; needed for a package.")
    ] = None,
    classes: ClassesOption = None,
    without: WithoutOption = "",
    device: DeviceOption = "auto",
) -> None:
    """Score the test split again; write metrics, tables and the report."""
    from trd.packages.package import is_package

    if is_package(run):
        _evaluate_package(run, data, classes, device)
        return
    require("trd evaluate", "report")
    from trd.runs import Run

    opened = Run.reopen(run, data, names(classes), console)
    with opened.alone():
        metrics = opened.evaluate(device, opened.classes, without)
    _summary(metrics, opened.results(without))
    opened.raise_failures()


def _evaluate_package(path: Path, data: Path | None, classes: str | None, device: str) -> None:
    """Metrics of the test split on the console; nothing is written."""
    from trd.data.listing import class_folders
    from trd.detector import Detector
    from trd.evaluation.evaluate import evaluate_class
    from trd.evaluation.tables import COLUMNS

    if data is None:
        raise DataError(f"{path} does not know where test parts are: give the class's folder with --data")
    detector = Detector.load(path, device)
    places = class_folders(data, names(classes), views=detector.recipe.views.names)
    place = next((candidate for candidate in places if candidate.name == detector.class_name), places[0])
    if len(places) > 1 and place.name != detector.class_name:
        raise DataError(f"{data} holds no class '{detector.class_name}': give the class's own folder with --data")
    result = evaluate_class(detector, place, console)
    shown = ("image_auroc", "pixel_auroc", "aupro_30", "aupro_1")
    table = Table("map", *(COLUMNS[metric] for metric in shown))
    for name, map_metrics in result.metrics["maps"].items():
        cells = (map_metrics.get(metric) for metric in shown)
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in cells))
    console.print(table)


@app.command("import-reference")
def import_reference(
    file: Annotated[Path, typer.Argument(help="Checkpoint (.pth) of the reference implementation, one class.")],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="Run folder; several classes may go into one.")],
    recipe: RecipeOption = "mvtec3d-rgb-normals",
    class_name: Annotated[str | None, typer.Option("--class", help="Needed where --data holds several.")] = None,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Take over trained reference weights; calibrate on the validation split. Then evaluate or predict as usual."""
    require("trd import-reference", "train")
    from trd import runs
    from trd.config import load_recipe

    detector = runs.import_reference(file, data, out, load_recipe(recipe, overrides or ()), class_name, device, console)
    console.print(f"{detector.class_name}: imported into {out}; `trd evaluate {out}` scores the test split")


def _finish(run: Run, device: str, retrain: bool = False) -> None:
    with interruptible():
        metrics = run.train_and_evaluate(device, retrain)
    _summary(metrics, run.out)
    if not metrics and not run.failures:
        console.print(f"trained; no labelled test split to evaluate. Detectors in {run.out}")
    run.raise_failures()


def _summary(metrics: dict[str, dict[str, Any]], out: Path) -> None:
    from trd.evaluation.tables import class_rows

    if not metrics:
        return
    table = Table("class", "map", "I-AUROC", "P-AUROC", "AUPRO@30", "AUPRO@1")
    for line in class_rows(metrics):
        cells = [line[key] for key in ("image_auroc", "pixel_auroc", "aupro_30", "aupro_1")]
        table.add_row(
            str(line["class"]),
            str(line["map"]),
            *("-" if isinstance(c, float) and isnan(c) else f"{c:.3f}" for c in cells),
        )
    console.print(table)
    console.print(f"report: {out / 'report.html'}")
