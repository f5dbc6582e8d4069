"""Commands that use a detector: predict, calibrate."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trd.cli.app import (
    DeviceOption,
    WithoutOption,
    app,
    console,
    errors,
    terminated_as_interrupted,
)
from trd.errors import DataError, RecipeError
from trd.extras import require

if TYPE_CHECKING:  # at run time each command imports what it needs, so that `trd --help` does not wait for torch
    from trd.decision.calibration import Calibration
    from trd.detector import Detector
    from trd.types import SampleFiles


class Executor(str, Enum):
    """Where parts are scored."""

    local = "local"
    ray = "ray"


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of one class, RUN/CLASS, or a package.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for scores and pictures.")],
    inputs: Annotated[
        list[Path],
        typer.Option("--input", help="A folder with one folder per source, or one file per source (repeat)."),
    ],
    raw_maps: Annotated[bool, typer.Option("--raw-maps", help="Also write float32 TIFF maps.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile, for many parts on a GPU.")] = False,
    precision: Annotated[
        Literal["fp32", "bf16", "fp16", "auto"] | None,
        typer.Option("--precision", help="Of the students; as calibrated by default."),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Do not stop at parts that cannot be read: their rows say why.")
    ] = False,
    overlays: Annotated[bool, typer.Option("--overlays/--no-overlays", help="Heat-map pictures.")] = True,
    without: WithoutOption = "",
    device: DeviceOption = "auto",
    executor: Annotated[
        Executor, typer.Option("--executor", help="local, or ray: parts spread over several cores, GPUs or machines.")
    ] = Executor.local,
) -> None:
    """Score parts: scores.csv, scores.jsonl and heat-map overlays. An interrupted call goes on when started again."""
    if executor is Executor.ray:
        require("--executor ray", "ray")
    from trd.detector import Detector
    from trd.predictions import CSV, PARTIAL, DetectorReference, Output, predict_parts

    spread = executor is Executor.ray
    # its workers load detectors of their own; here it is looked at, and what is wrong with it said, before they start
    detector = Detector.load(run, "cpu" if spread else device, compiled, None if spread else precision, without)
    files = _inputs(inputs, detector)
    reference = DetectorReference.of(detector, files, run, device, compiled, precision, without)
    output = Output(out, raw_maps, overlays, keep_going)
    try:
        with terminated_as_interrupted():
            written = predict_parts(None if spread else detector, reference, files, output, console)
    except KeyboardInterrupt as stop:
        where = (
            f"{out / PARTIAL} holds the parts done so far, if any, and the same command goes on after them; "
            "earlier scores are as they were"
        )
        errors.print(f"interrupted; {where}", markup=False)
        raise typer.Exit(128 + (stop.args[0] if stop.args else signal.SIGINT)) from None
    for doubt in () if spread else detector.doubts:
        errors.print(doubt, style="yellow", markup=False)
    threshold, scores = detector.calibration.image_threshold.value, out / CSV
    console.print(
        f"{written.scored} parts, {written.anomalous} anomalous (threshold {threshold:.2f}); scores in {scores}",
        markup=False,
    )
    if written.kinds:
        named = ", ".join(f"{count} {kind}" for kind, count in written.kinds.most_common())
        console.print(f"suggested kinds: {named}", markup=False, highlight=False)
    if written.failed:
        errors.print(
            f"{written.failed} more could not be read or used: the column 'error' of {scores} says why", markup=False
        )
        raise typer.Exit(1)


@app.command()
def calibrate(
    run: Annotated[Path, typer.Argument(help="Run folder of one class, RUN/CLASS, or a package.")],
    rate: Annotated[
        float | None, typer.Option("--rate", help="False-alarm rate of good parts; as before by default.")
    ] = None,
    good: Annotated[
        Path | None, typer.Option("--good", help="Good parts that the detector has not seen: another lamp or batch.")
    ] = None,
    defective: Annotated[
        Path | None, typer.Option("--defective", help="Defective parts: how many are found at the threshold?")
    ] = None,
    restore: Annotated[
        str, typer.Option("--restore", metavar="ID", help="Take an earlier calibration again; `trd info` lists them.")
    ] = "",
    device: DeviceOption = "auto",
) -> None:
    """Thresholds anew, without training; the calibration before is kept beside it."""
    from dataclasses import replace

    from trd.packages.facts import earlier_calibration, facts_at, keep_calibration

    if rate is None and good is None and defective is None and not restore:
        raise RecipeError("nothing to do: give --rate, --good, --defective or --restore")
    if restore and good is not None:
        raise RecipeError("--restore takes the good parts of an earlier calibration: leave --good out")
    if rate is not None and not 0 < rate < 1:
        raise RecipeError(f"--rate {rate}: expected a share between 0 and 1, for example 0.05")
    facts = facts_at(run)
    calibration = earlier_calibration(run, restore) if restore else facts.calibration
    calibration = calibration if rate is None else calibration.for_rate(rate)
    if good is None and defective is None:  # the stored scores will do: no torch, no weights
        with _alone(run):
            keep_calibration(run, replace(facts, calibration=calibration))
        _tell(calibration)
        return
    from trd.data.defective import list_defective
    from trd.data.listing import camera_near, list_unlabelled
    from trd.detector import Detector
    from trd.training.recalibrate import recalibrated, recall, refuse_trained_on

    detector = Detector.load(run, device)
    sources, clouds = facts.recipe.inputs, facts.recipe.point_cloud_sources
    if good is not None:
        files = list_unlabelled(good, sources, clouds)
        refuse_trained_on(run, files)
        camera = camera_near(files, clouds, facts.camera)
        calibration = recalibrated(detector, files, rate, camera, console)
    if calibration != facts.calibration:
        with _alone(run):
            keep_calibration(run, replace(facts, calibration=calibration))
    _tell(calibration)
    if defective is not None:
        files = list_defective(defective, sources, clouds)
        camera = camera_near(files, clouds, facts.camera)
        detected = recall(detector.calibrated(calibration), files, camera, console)
        console.print(f"of the defective parts, {detected}", highlight=False)


def _alone(run: Path) -> AbstractContextManager[object]:
    """Context in which nothing may be trained where the detector lies. A package is written in one step."""
    from trd.files import locked
    from trd.packages.package import is_package
    from trd.stored import detector_folder

    if is_package(run):
        return nullcontext()
    folder = detector_folder(run)
    return locked(folder.parent if (folder.parent / "run.json").is_file() else folder, "a calibration")


def _tell(calibration: Calibration) -> None:
    threshold = calibration.image_threshold
    console.print(
        f"threshold {threshold.value:.3f}: false-alarm rate {threshold.guaranteed_rate:.1%} {calibration.promise} "
        f"({threshold.requested_rate:.1%} requested) from {threshold.count} good parts",
        highlight=False,
    )
    if not threshold.attained:
        console.print(f"for {threshold.requested_rate:.1%} give {round(1 / threshold.requested_rate) - 1} good parts")


def _inputs(inputs: list[Path], detector: Detector) -> tuple[SampleFiles, ...]:
    from trd.data.listing import list_unlabelled
    from trd.data.names import part_name
    from trd.types import UNLABELLED, SampleFiles

    sources = detector.recipe.inputs
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
            if (name := part_name(path)) in named:
                raise DataError(
                    f"{named[name]} and {path} are both called '{name}', and so would their results be: predict them "
                    "one after another into two folders"
                )
            named[name] = path
        return tuple(SampleFiles(name, "predict", UNLABELLED, {sources[0]: path}) for name, path in named.items())
    if len(inputs) != len(sources):
        raise DataError(
            f"give one folder, or {len(sources)} files in this order: {', '.join(sources)}; got {len(inputs)}"
        )
    return (SampleFiles(part_name(inputs[0]), "predict", UNLABELLED, dict(zip(sources, inputs, strict=True))),)
