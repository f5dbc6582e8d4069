"""Commands that only tell: recipes, info, check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from trd.cli.app import ClassesOption, RecipeOption, SetOption, app, console, errors, interruptible, names
from trd.config import DEFAULT_RECIPE
from trd.errors import MissingExtraError
from trd.extras import installed, require


def _counted(items: Sequence[object], word: str) -> str:
    return f"{len(items)} {word}{'' if len(items) == 1 else 's'}"


PRINTED_FACTS = (
    *("layout", "good parts to train on", "held out for calibration", "good parts to calibrate on"),
    *("parts to test on", "smallest defect"),
)
"""Of `trd.check.check.ClassCheck`, on the console; the page has all."""


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
    for recipe_name in recipe_names():
        table.add_row(recipe_name, load_recipe(recipe_name).description)
    console.print(table)


@app.command()
def info(run: Annotated[Path | None, typer.Argument(help="Also describe this detector.")] = None) -> None:
    """Versions and hardware; of a detector: recipe, calibration, thresholds."""
    from importlib import metadata

    version_label = f"trd-anomaly {metadata.version('trd-anomaly')}"
    runtimes = [f"{name} {metadata.version(name)}" for name in ("onnxruntime", "openvino") if installed(name)]
    if installed("torch"):
        _print_with_torch(version_label, runtimes)
    else:
        console.print(", ".join([version_label, "without torch", *runtimes]))
    if run is not None:
        _describe(run)


def _print_with_torch(version_label: str, runtimes: list[str]) -> None:
    import torch

    from trd.engines.pytorch.precision import processor_name, resolve_precision

    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = (
        torch.cuda.get_device_name() if device == "cuda" else f"{processor_name()}, {torch.get_num_threads()} threads"
    )
    console.print(", ".join([version_label, f"torch {torch.__version__}", *runtimes, f"{device} ({name})"]))
    console.print(f"precision 'auto' means {resolve_precision('auto', device)} here")


def _describe(run: Path) -> None:
    from trd.packages.facts import earlier_calibrations, facts_at
    from trd.packages.package import is_package, read_package
    from trd.preprocess.view_frames import ViewFrames

    facts = facts_at(run)
    calibration, frame = facts.calibration, facts.frame
    table = Table("detector", facts.class_name or str(run))
    table.add_row("recipe", facts.recipe.name)
    if facts.stand_ins:
        table.add_row("can do without", ", ".join(f"{source} (--without {source})" for source in facts.stand_ins))
    table.add_row("evidence", ", ".join(facts.recipe.evidence))
    if lesson := _described_lesson(run):
        table.add_row("lesson", lesson)
    if facts.kinds:
        limit = facts.kinds.limit
        table.add_row(
            "suggests kinds",
            f"{', '.join(dict.fromkeys(facts.kinds.kinds))}, from {limit.count} defects; a further one of these kinds "
            f"is called unlike all of them at a rate of {limit.guaranteed_rate:.1%} at most",
        )
    table.add_row("modalities", ", ".join(facts.recipe.modalities))
    table.add_row("computes with", _computes_with(run))
    for name, own in frame.views.items() if isinstance(frame, ViewFrames) else [("", frame)]:
        label = f"frame of the view '{name}'" if name else "frame"
        tiles = f" in tiles of {own.tile}" if own.tile else ""
        size = f"{own.sensor[0]} x {own.sensor[1]}, window {own.window} -> {own.size[0]} x {own.size[1]}"
        table.add_row(label, size + tiles)
    if is_package(run):
        manifest = read_package(run).manifest
        table.add_row("exported with", ", ".join(f"{name} {version}" for name, version in manifest.tools.items()))
        table.add_row("licences", "; ".join(f"{item}: {licence}" for item, licence in manifest.licences.items()))
    rates = {
        "image threshold": (calibration.image_threshold, "false-alarm rate"),
        "map threshold": (calibration.pixel_threshold, "share of a good part's pixels"),
    }
    for label, (threshold, rate) in rates.items():
        table.add_row(
            label,
            f"{threshold.value:.3f}: {rate} {threshold.guaranteed_rate:.1%} {calibration.promise}, "
            f"{threshold.requested_rate:.1%} requested, from {threshold.count} good parts",
        )
    if calibration.threshold_origin:
        table.add_row("", f"the image threshold is {calibration.threshold_origin}")
    for number, (name, earlier) in enumerate(earlier_calibrations(run).items()):
        table.add_row(
            "" if number else "earlier calibrations",
            f"{name}: threshold {earlier.image_threshold.value:.3f} from {earlier.image_threshold.count} good parts "
            f"(trd calibrate {run} --restore {name})",
        )
    console.print(table)


def _described_lesson(run: Path) -> str:
    """Of `trd learn`; "" where there was none, and of a package, which keeps no record of it."""
    from trd.learning.record import read_lesson
    from trd.packages.package import is_package
    from trd.stored import detector_folder

    record = None if is_package(run) else read_lesson(detector_folder(run))
    if record is None:
        return ""
    kinds = ", ".join(dict.fromkeys(defect["kind"] for defect in record["defects"]))
    defects, good = len(record["defects"]), len(record.get("good", ()))
    learned = [f"{defects} labelled defects ({kinds})"] * bool(defects) + [f"{good} further good parts"] * bool(good)
    teacher = f" by {record['by']}" if record["by"] else ""
    return f"{' and '.join(learned)}, {record['at']}{teacher}, of {record['learned_from']}"


def _computes_with(run: Path) -> str:
    from trd.detector import Detector

    try:
        detector = Detector.load(run, "cpu")
    except MissingExtraError as error:
        return f"nothing here: {error}"
    calibrated = detector.calibration.precision or "one that was not recorded"
    engine = detector.engine
    return f"{engine.form}, {engine.device}, precision {engine.precision}, calibrated in {calibrated}"


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="Folder of one class or of several classes.")],
    recipe: RecipeOption = DEFAULT_RECIPE,
    classes: ClassesOption = None,
    overrides: SetOption = None,
    smallest: Annotated[
        str,
        typer.Option("--smallest-defect", help="That must be seen, such as 0.5mm or 12px: is the input fine enough?"),
    ] = "",
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("trd-check.html"),
) -> None:
    """A dry run in a minute: what training would meet, and the parts that are unlike the others, on one page."""
    require("trd check", "train", "report")
    from trd.check.check import check_class
    from trd.check.page import html_page
    from trd.check.resolution import DefectSize
    from trd.config import load_recipe
    from trd.data.listing import class_folders
    from trd.files import write_text

    chosen, defect = load_recipe(recipe, overrides or ()), DefectSize.of(smallest) if smallest else None
    places = class_folders(data, names(classes), views=chosen.views.names)
    checks = []
    with interruptible():
        for place in places:
            result = check_class(place, chosen, console, defect)
            checks.append(result)
            ready = f"ready, {_counted(result.warnings, 'warning')}"
            state = _counted(result.problems, "problem") if result.problems else ready
            console.print(f"{result.name}: {state}", style="red" if result.problems else None, markup=False)
            for label in PRINTED_FACTS:
                if label in result.facts:
                    console.print(f"  {label}: {result.facts[label]}", markup=False, highlight=False)
            for label, text in result.region_facts.items():
                console.print(f"  {label}: {text}", markup=False, highlight=False)
            for line in result.problems:
                errors.print(f"  {line}", style="red", markup=False, highlight=False)
            for line in result.warnings:
                console.print(f"  {line}", style="yellow", markup=False, highlight=False)
            if result.strangest:
                worst = ", ".join(f"{part.id} ({part.strangeness:.1f})" for part in result.strangest)
                console.print(f"  most unlike the others: {worst}", markup=False, highlight=False)
    write_text(out, html_page(f"TRD: check of {data}", checks))
    console.print(f"page: {out}", markup=False)
    if any(result.problems for result in checks):
        raise typer.Exit(1)
