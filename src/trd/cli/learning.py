"""The command that learns from labelled defects and from good parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trd.cli.app import DeviceOption, app, console
from trd.extras import require

if TYPE_CHECKING:
    from trd.learning.good_parts import GoodJudgement
    from trd.learning.judge import Judgement
    from trd.types import SampleFiles


@app.command()
def learn(
    run: Annotated[Path, typer.Argument(help="Run folder of one class, or RUN/CLASS.")],
    out: Annotated[Path, typer.Option("--out", help="The new run folder.")],
    defects: Annotated[
        Path | None,
        typer.Option("--defects", help="Defective parts, a folder for each kind, masks where there are some."),
    ] = None,
    good: Annotated[
        Path | None,
        typer.Option("--good", help="Good parts that were wrongly rejected, or of a new batch."),
    ] = None,
    must_find: Annotated[
        Path | None,
        typer.Option("--must-find", help="Defects that good parts must not hide; they teach nothing."),
    ] = None,
    sure: Annotated[bool, typer.Option("--sure", help="Good parts that look like the defects are good.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="The class's folder, where it was moved since the training.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who teaches, for the record.")] = "",
    device: DeviceOption = "auto",
) -> None:
    """Teach a detector labelled defects and further good parts: a new one where it gets better, else why not."""
    require("trd learn", "train")
    from trd.data.defective import list_defective
    from trd.data.listing import list_unlabelled
    from trd.learning.good_parts import GoodPartsRefused
    from trd.learning.learn import LessonJob, LessonRefused
    from trd.learning.learn import learn as learned
    from trd.packages.facts import facts_at

    recipe = facts_at(run).recipe

    def defective(folder: Path | None) -> tuple[SampleFiles, ...]:
        return list_defective(folder, recipe.inputs, recipe.point_cloud_sources, masked=True) if folder else ()

    files = list_unlabelled(good, recipe.inputs, recipe.point_cloud_sources) if good else ()
    job = LessonJob(run, defective(defects), out, data, by, device, files, defective(must_find), sure)
    try:
        result = learned(job, console)
    except GoodPartsRefused as refused:
        _print_good(refused.judgement)
        raise
    except LessonRefused as refused:
        if refused.good is not None:
            _print_good(refused.good)
        _print(refused.judgement)
        raise
    if result.good is not None:
        _print_good(result.good)
    if result.judgement is not None:
        _print(result.judgement)
    threshold = result.facts.calibration.image_threshold
    console.print(
        f"{result.folder}: threshold {threshold.value:.3f}, false-alarm rate {threshold.guaranteed_rate:.1%} "
        f"{result.facts.calibration.promise} from {threshold.count} good parts that the lesson has not seen",
        highlight=False,
    )
    if result.good is not None:
        console.print(
            "it is promised for parts like these calibration parts; for a new batch, give parts drawn at random from "
            f"it, others than the taught ones: trd calibrate {out} --good DIR",
            highlight=False,
        )


def _print_good(judgement: GoodJudgement) -> None:
    table = Table(f"{judgement.good} good parts, out of fold", "before", "with the lesson")
    before, after = judgement.before, judgement.after
    table.add_row("above the threshold", str(before.alarms), str(after.alarms))
    if before.auroc is not None and after.auroc is not None:
        table.add_row(f"of {judgement.defects} defects above the threshold", str(before.detected), str(after.detected))
        auroc = f"their image AUROC against {judgement.calibration} calibration parts"
        table.add_row(auroc, f"{before.auroc:.3f}", f"{after.auroc:.3f}")
    console.print(table)
    fall = judgement.fall
    console.print(
        f"the good parts' scores change by {-fall.value:+.2f} deviations of the calibration parts, 95 % interval "
        f"{-fall.high:+.2f} to {-fall.low:+.2f}",
        highlight=False,
    )
    if (change := judgement.auroc_change) is not None:
        console.print(
            f"the defects' image AUROC changes by {change.value:+.3f}, 95 % interval {change.low:+.3f} to "
            f"{change.high:+.3f}",
            highlight=False,
        )
    else:
        console.print("whether defects are still found is not known: no defects were given (--defects, or --must-find)")
    if judgement.above:
        console.print(
            f"{len(judgement.above)} stay above the threshold when the others are known: {', '.join(judgement.above)}; "
            "look whether they are good"
        )


def _print(judgement: Judgement) -> None:
    table = Table(f"{judgement.defects} defects, out of fold", "before", "with the lesson")
    before, after = judgement.before, judgement.after
    table.add_row(f"image AUROC against {judgement.good} good parts", f"{before.auroc:.3f}", f"{after.auroc:.3f}")
    table.add_row("above the threshold", str(before.detected), str(after.detected))
    for kind, change in judgement.unlabelled.items():
        table.add_row(f"image AUROC of {kind}, learned from the others", "", f"{change:+.3f}")
    console.print(table)
    gain = judgement.gain
    console.print(
        f"gain {gain.value:.2f} deviations of good parts, 95 % interval {gain.low:.2f} to {gain.high:.2f}",
        highlight=False,
    )
    if judgement.unseen:
        console.print(
            f"no trace of {len(judgement.unseen)} defects, out of fold: {', '.join(judgement.unseen)}; look whether "
            "they are defects, and marked where they are"
        )
