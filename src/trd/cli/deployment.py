"""Commands for the machine at the line: export, check-device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from trd.cli.app import WithoutOption, app, console
from trd.errors import CheckpointError, RecipeError
from trd.extras import require


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder of one class, or RUN/CLASS.")],
    out: Annotated[Path, typer.Option("--out", help="The package, called *.trdm.")],
    runtime: Annotated[Literal["onnx", "openvino"], typer.Option("--runtime", help="What computes it.")] = "openvino",
    precision: Annotated[
        Literal["fp32", "bf16", "int8"],
        typer.Option("--precision", help="bf16: of the students. int8: of teacher and students."),
    ] = "fp32",
    data: Annotated[
        Path | None, typer.Option("--data", help="The class's folder, where it was moved since the training.")
    ] = None,
    good: Annotated[
        Path | None, typer.Option("--good", help="Good parts to calibrate on, instead of the training's own.")
    ] = None,
    without: WithoutOption = "",
    single: Annotated[
        Path | None, typer.Option("--single", help="Also one plain ONNX file, for other people's software.")
    ] = None,
) -> None:
    """A package for the machine at the line, without torch; compared with the detector on all your parts."""
    require("trd export", "train", "onnx", "export", *(("openvino",) if runtime == "openvino" else ()))
    if single is not None and precision != "fp32":  # said before the work, not after it
        raise RecipeError(f"--single is in float32, the package in {precision}: export with --precision fp32")
    from trd.data.listing import list_unlabelled
    from trd.export.equivalence import LARGEST_MAP, worded_change
    from trd.export.export import ExportJob, export
    from trd.stored import detector_folder, read_facts

    facts, _ = read_facts(detector_folder(run))
    files = list_unlabelled(good, facts.recipe.inputs, facts.recipe.point_cloud_sources) if good else ()
    job = ExportJob(run, out, runtime, precision, data, files, without, keep_onnx=single is not None)
    exported = export(job, console)
    table = Table(
        "parts", "count", f"maps over {LARGEST_MAP:g} apart", "largest", "mean", "of scores", "decided otherwise"
    )
    for name, split in exported.equivalence.splits.items():
        differences = (f"{value:.2g}" for value in (split.largest, split.mean, split.score))
        table.add_row(name, str(split.parts), str(split.beyond), *differences, str(len(split.flipped)))
    console.print(table)
    promised = exported.package.facts.calibration.image_threshold.guaranteed_rate
    if (test := exported.equivalence.splits.get("test")) is not None:
        console.print(
            f"false alarms on the {test.good} good test parts: {test.false_alarms}, of the detector in float32 "
            f"{test.false_alarms_before}; the threshold promises {promised:.1%}",
            highlight=False,
        )
    for metric in ("image_auroc", "pixel_auroc", "aupro_30"):
        if metric in exported.equivalence.metrics:
            change = exported.equivalence.change.get(metric)
            console.print(
                f"{metric} of the test parts: {exported.equivalence.metrics[metric]:.4f}, of the detector in float32 "
                f"{exported.equivalence.before[metric]:.4f}"
                + (f": {worded_change(change)}" if change and change.value else ""),
                highlight=False,
            )
    size = out.stat().st_size / 1e6
    console.print(f"package: {out} ({size:.1f} MB, {exported.seconds:.0f} s)", highlight=False)
    if single is not None:
        from trd.export.single import export_single

        export_single(exported, single)
        console.print(f"single ONNX file: {single}", highlight=False)


@app.command(name="check-device")
def check_device(
    package: Annotated[Path, typer.Argument(help="A package of `trd export`.")],
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Timed predictions of the golden part.")] = 20,
) -> None:
    """Does this machine compute what the exporting one did? Compares the golden parts, and times one."""
    import time

    from trd.detector import Detector
    from trd.engines.base import Placement
    from trd.packages.engine import package_engine
    from trd.packages.golden import Golden, deviation, refuse_deviation
    from trd.packages.package import read_package
    from trd.preprocess.view_pipeline import pipeline_of

    opened = read_package(package)
    require(f"{package}", opened.manifest.runtime)
    facts, manifest = opened.facts, opened.manifest
    pipeline = pipeline_of(facts.recipe, facts.frame, facts.ranges, facts.finder)
    engine = package_engine(opened, Placement())
    if not manifest.golden:
        raise CheckpointError(f"{package} holds no golden part: export it anew")
    goldens = [Golden.from_bytes(opened.contents[name], f"{package}, {name}") for name in manifest.golden]
    for name, golden in zip(manifest.golden, goldens, strict=True):
        measured = deviation(golden, pipeline, engine, facts.calibration)
        console.print(
            f"{name}: prepared images differ by {measured.images:.2g}, maps by {measured.maps:.2g} deviations (allowed "
            f"{manifest.tolerance:g})",
            highlight=False,
        )
        refuse_deviation(measured, manifest.tolerance, str(package))
    detector = Detector(facts, engine)
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        detector.predict(goldens[0].sample)
        seconds.append(time.perf_counter() - begin)
    console.print(
        f"{engine.form}, {engine.device}, precision {engine.precision}: {1000 * min(seconds[1:]):.0f} ms at best, "
        f"{1000 * sorted(seconds[1:])[repeats // 2]:.0f} ms in the median from arrays to decision (the golden part is "
        "smaller than yours: preparation takes longer)",
        highlight=False,
    )
    console.print("this machine decides as the exporting one did")
