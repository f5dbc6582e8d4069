"""Commands that use a detector: predict, calibrate."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trd.cli.app import (
    DeviceOption,
    app,
    console,
    errors,
    shown,
    terminated_as_interrupted,
)
from trd.errors import DataError

if TYPE_CHECKING:  # at run time each command imports what it needs, so that `trd --help` does not wait for torch
    from trd.detector import Detector
    from trd.types import SampleFiles


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
        with terminated_as_interrupted():
            written = write_predictions(detector, results, out, raw_maps, overlays, keep_going)
    except KeyboardInterrupt as stop:
        where = f"{shown(out / PARTIAL)} holds the parts done so far, if any; earlier scores are as they were"
        errors.print(f"interrupted; {where}", markup=False)
        raise typer.Exit(128 + (stop.args[0] if stop.args else signal.SIGINT)) from None
    threshold, scores = detector.calibration.image_threshold.value, shown(out / CSV)
    console.print(
        f"{written.scored} parts, {written.anomalous} anomalous (threshold {threshold:.2f}); scores in {scores}",
        markup=False,
    )
    if written.failed:
        errors.print(
            f"{written.failed} more could not be read or used: the column 'error' of {scores} says why", markup=False
        )
        raise typer.Exit(1)


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
