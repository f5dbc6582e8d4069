"""The command that learns from labelled defects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trd.cli.app import DeviceOption, app, console
from trd.extras import require

if TYPE_CHECKING:
    from trd.learning.judge import Judgement


@app.command()
def learn(
    run: Annotated[Path, typer.Argument(help="Run folder of one class, or RUN/CLASS.")],
    defects: Annotated[
        Path,
        typer.Option("--defects", help="Defective parts, a folder for each kind, masks where there are some."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The new run folder.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="The class's folder, where it was moved since the training.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who teaches, for the record.")] = "",
    device: DeviceOption = "auto",
) -> None:
    """Teach a detector defects that somebody labelled: a new detector where it gets better, else the reason why not."""
    require("trd learn", "train")
    from trd.data.defective import list_defective
    from trd.learning.learn import LessonJob, LessonRefused
    from trd.learning.learn import learn as learned
    from trd.packages.facts import facts_at

    recipe = facts_at(run).recipe
    files = list_defective(defects, recipe.inputs, recipe.point_cloud_sources, masked=True)
    try:
        result = learned(LessonJob(run, files, out, data, by, device), console)
    except LessonRefused as refused:
        _print(refused.judgement)
        raise
    _print(result.judgement)
    threshold = result.facts.calibration.image_threshold
    console.print(
        f"{result.folder}: threshold {threshold.value:.3f}, false-alarm rate {threshold.guaranteed_rate:.1%} "
        f"{result.facts.calibration.promise} from {threshold.count} good parts that the lesson has not seen",
        highlight=False,
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
