"""The command `trd`: parse, call, print."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from trd import processes
from trd.errors import DataError, RecipeError, TRDError

if TYPE_CHECKING:  # at run time each command imports what it needs, so that `trd --help` does not wait for torch
    from trd.detector import Detector
    from trd.runs import Run
    from trd.types import SampleFiles

app = typer.Typer(
    help="Find defects in colour and in 3D, trained on good parts only.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
console = Console(quiet=processes.rank() > 0)
errors = Console(stderr=True)

DataOption = Annotated[Path, typer.Option("--data", help="Folder of one class or of several classes.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Name of a shipped recipe, or a TOML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. training.epochs=20. Repeatable.")]
ClassesOption = Annotated[str | None, typer.Option("--classes", help="Comma-separated; all by default.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


@app.callback()
def _check(context: typer.Context) -> None:
    if processes.count() > 1 and context.invoked_subcommand != "train":
        raise RecipeError(
            f"torchrun started {processes.count()} processes: only `trd train` works with several. Start trd itself; "
            "several classes at once are `trd reproduce --executor ray`"
        )


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, run and report.")] = Path("trd-demo"),
    seed: Annotated[int, typer.Option(help="Of the drawn parts.")] = 0,
) -> None:
    """Draw a small RGB + 3D data set, train on its good parts, evaluate, and write a report (about a minute)."""
    from trd.config import load_recipe
    from trd.data.demo import CLASS_NAME, draw_demo
    from trd.runs import Run

    data = out / "data"
    draw_demo(data, seed=seed)
    console.print(f"drew {data / CLASS_NAME}")
    recipe = load_recipe("demo")
    run = Run.open(data, out / "run", recipe, [CLASS_NAME], console)
    _finish(run, "auto")


@app.command()
def train(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="Run folder; the same one again goes on where it stopped.")],
    recipe: RecipeOption = "lite-rgb-normals",
    classes: ClassesOption = None,
    overrides: SetOption = None,
    device: DeviceOption = "auto",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train anew, also what is finished; the new detector replaces the old.")
    ] = False,
) -> None:
    """Train and calibrate a detector per class; evaluate where there is a test split."""
    from trd.config import load_recipe
    from trd.runs import Run

    run = Run.open(data, out, load_recipe(recipe, overrides or ()), _names(classes), console)
    _finish(run, device, retrain)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data: Annotated[Path | None, typer.Option("--data", help="By default where the run was trained.")] = None,
    classes: ClassesOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Score the test split again; write metrics, tables and the report."""
    from trd.runs import Run

    opened = Run.reopen(run, data, _names(classes), console)
    with opened.alone():
        metrics = opened.evaluate(device, opened.classes)
    _summary(metrics, opened.out)
    opened.raise_failures()


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
    from trd import runs
    from trd.config import load_recipe

    detector = runs.import_reference(file, data, out, load_recipe(recipe, overrides or ()), class_name, device, console)
    console.print(f"{detector.class_name}: imported into {out}; `trd evaluate {out}` scores the test split")


@app.command()
def reproduce(
    benchmark: Annotated[str, typer.Argument(help="mvtec3d, eyecandies, or folder (any data, nothing published).")],
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="Folder for all runs and the tables; the same one goes on.")],
    recipe: Annotated[str | None, typer.Option("--recipe", help="By default the benchmark's published one.")] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", help="Comma-separated; by default the recipe's.")] = None,
    classes: ClassesOption = None,
    ablation: Annotated[bool, typer.Option("--ablation", help="All variants: one modality, no tuners, ...")] = False,
    variants: Annotated[str | None, typer.Option("--variants", help="Only these, comma-separated.")] = None,
    executor: Annotated[str, typer.Option("--executor", help="local, or ray (several GPUs or machines).")] = "local",
    overrides: SetOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Train and score every class and seed; write the published table's layout with our numbers beside it."""
    from trd.config import load_recipe
    from trd.methods.base import FULL
    from trd.reproduce.published import BENCHMARKS
    from trd.reproduce.reproduce import reproduce as run_all
    from trd.reproduce.reproduce import variant_names

    default = BENCHMARKS[benchmark].recipe if benchmark in BENCHMARKS else "lite-rgb-normals"
    chosen = load_recipe(recipe or default, overrides or ())
    numbers = _names(seeds) or [str(chosen.seed)]
    if not all(number.isdecimal() for number in numbers):
        raise RecipeError(f"--seeds {seeds}: expected whole numbers, for example 42,43,44")
    wanted = _names(variants) or (variant_names(chosen) if ablation else (FULL,))
    label = chosen.name + "".join(f", {override}" for override in overrides or ())
    whole = [int(number) for number in numbers]
    with _interruptible():
        run_all(benchmark, data, out, chosen, whole, _names(classes), wanted, executor, device, console, label)
    console.print(f"tables: {out / 'table.md'}, {out / 'table.tex'}, {out / 'table.csv'}")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of one class, or RUN/CLASS.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for scores and pictures.")],
    inputs: Annotated[
        list[Path],
        typer.Option("--input", help="A folder with one folder per source, or one file per source (repeat)."),
    ],
    raw_maps: Annotated[bool, typer.Option("--raw-maps", help="Also write float32 TIFF maps.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile, for many parts on a GPU.")] = False,
    precision: Annotated[
        str | None, typer.Option("--precision", help="Of the students: 32, bf16, fp16 or auto; as trained by default.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not stop at parts that cannot be read: their rows say why.")
    ] = False,
    overlays: Annotated[bool, typer.Option("--overlays/--no-overlays", help="Heat-map pictures.")] = True,
    device: DeviceOption = "auto",
) -> None:
    """Score parts: scores.csv, scores.jsonl and heat-map overlays."""
    from functools import partial

    from rich.progress import track

    from trd.data.listing import camera_near
    from trd.data.loading import load_sample
    from trd.detector import Detector
    from trd.predictions import CSV, PARTIAL, outcomes, write_predictions

    detector = Detector.load(run, device, compiled, precision)
    files = _inputs(inputs, detector)
    clouds = detector.recipe.point_cloud_sources
    load = partial(load_sample, clouds=clouds, camera=camera_near(files, clouds, detector.facts.camera))
    results = outcomes(detector, track(files, "predicting", console=console, transient=True), load)
    try:
        with _terminated_as_interrupted():
            written = write_predictions(detector, results, out, raw_maps, overlays, keep_going)
    except KeyboardInterrupt as stop:
        where = f"{_shown(out / PARTIAL)} holds the parts done so far, if any; earlier scores are as they were"
        errors.print(f"interrupted; {where}", markup=False)
        raise typer.Exit(128 + (stop.args[0] if stop.args else signal.SIGINT)) from None
    threshold, scores = detector.calibration.image_threshold.value, _shown(out / CSV)
    console.print(
        f"{written.scored} parts, {written.anomalous} anomalous (threshold {threshold:.2f}); scores in {scores}",
        markup=False,
    )
    if written.failed:
        errors.print(
            f"{written.failed} more could not be read or used: the column 'error' of {scores} says why", markup=False
        )
        raise typer.Exit(1)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe in full.")] = None, overrides: SetOption = None
) -> None:
    """List the shipped recipes, or print one with every value."""
    from trd.config import load_recipe, recipe_names

    if name is not None:
        typer.echo(load_recipe(name, overrides or ()).to_toml())
        return
    table = Table("recipe", "what it is")
    for known in recipe_names():
        table.add_row(known, load_recipe(known).description)
    console.print(table)


@app.command()
def info(run: Annotated[Path | None, typer.Argument(help="Also describe this detector.")] = None) -> None:
    """Versions and hardware; of a detector: recipe, calibration, thresholds."""
    from importlib import metadata

    import torch

    from trd.compute.precision import processor_name, resolve_precision

    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = (
        torch.cuda.get_device_name() if device == "cuda" else f"{processor_name()}, {torch.get_num_threads()} threads"
    )
    console.print(f"trd-anomaly {metadata.version('trd-anomaly')}, torch {torch.__version__}, {device} ({name})")
    console.print(f"precision 'auto' means {resolve_precision('auto', device)} here")
    if run is not None:
        _describe(run)


def _describe(run: Path) -> None:
    from trd.detector import Detector

    detector = Detector.load(run, "cpu")
    calibrated = detector.calibration.precision
    precision = f"precision {detector.engine.precision}, calibrated in {calibrated or 'one that was not recorded'}"
    calibration, frame = detector.calibration, detector.facts.frame
    table = Table("detector", detector.class_name or str(run))
    table.add_row("recipe", detector.recipe.name)
    table.add_row("method", detector.recipe.method.name)
    table.add_row("modalities", ", ".join(detector.recipe.modalities))
    table.add_row("computes with", f"{detector.engine.form}, {detector.engine.device}, {precision}")
    table.add_row(
        "frame", f"{frame.source[0]} x {frame.source[1]}, window {frame.window} -> {frame.size[0]} x {frame.size[1]}"
    )
    promise = "guaranteed" if calibration.kind == "split" else "estimated (cross-conformal)"
    for label, threshold in (("image", calibration.image_threshold), ("map", calibration.pixel_threshold)):
        table.add_row(
            f"{label} threshold",
            f"{threshold.value:.3f}: false-alarm rate {threshold.guaranteed_rate:.1%} {promise}, "
            f"{threshold.requested_rate:.1%} requested, from {threshold.count} good parts",
        )
    console.print(table)


def _inputs(inputs: list[Path], detector: Detector) -> tuple[SampleFiles, ...]:
    from trd.data.listing import list_unlabelled
    from trd.types import UNLABELLED, SampleFiles

    sources = detector.recipe.sources
    if len(inputs) == 1 and inputs[0].is_dir():
        return list_unlabelled(inputs[0], sources, detector.recipe.point_cloud_sources)
    missing = [path for path in inputs if not path.exists()]
    if missing:
        raise DataError(f"the input {missing[0]} does not exist")
    folders = [path for path in inputs if path.is_dir()]
    if folders:
        raise DataError(f"{folders[0]} is a folder: give one folder that holds one folder per source, or files only")
    if len(sources) == 1:
        named: dict[str, Path] = {}
        for path in inputs:
            if path.stem in named:
                raise DataError(
                    f"{named[path.stem]} and {path} are both called '{path.stem}', and so would their results be: "
                    "predict them one after another into two folders"
                )
            named[path.stem] = path
        return tuple(SampleFiles(stem, "predict", UNLABELLED, {sources[0]: path}) for stem, path in named.items())
    if len(inputs) != len(sources):
        raise DataError(
            f"give one folder, or {len(sources)} files in this order: {', '.join(sources)}; got {len(inputs)}"
        )
    return (SampleFiles(inputs[0].stem, "predict", UNLABELLED, dict(zip(sources, inputs, strict=True))),)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, so that it can say what is done."""

    def stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():  # only the main one may take signals
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _shown(path: Path) -> str:
    """A path as text that every terminal takes: names may hold bytes that are no text."""
    return str(path).encode("utf-8", "backslashreplace").decode()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends in a hint and the usual exit code."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print(
            "interrupted; the same command goes on from the last checkpoint, if there was one yet (one every "
            "training.checkpoint_every epochs)"
        )
        raise typer.Exit(130) from None


def _names(classes: str | None) -> list[str] | None:
    return None if classes is None else [name.strip() for name in classes.split(",") if name.strip()]


def _finish(run: Run, device: str, retrain: bool = False) -> None:
    with _interruptible():
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


def main() -> None:
    """Entry point: a TRDError is one message and exit code 2."""
    try:
        app(standalone_mode=True)
    except TRDError as error:
        errors.print("[bold red]error:[/bold red] ", end="")
        errors.print(str(error), markup=False, highlight=False)
        raise SystemExit(2) from None
