"""The commands reproduce and compare; `trd.cli` imports this by its entry point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from trd.cli.app import (
    ClassesOption,
    DataOption,
    DeviceOption,
    SetOption,
    app,
    console,
    errors,
    interruptible,
    names,
)
from trd.errors import RecipeError, TRDError
from trd.extras import require

if TYPE_CHECKING:  # at run time the command imports what it needs, so that `trd --help` does not wait for torch
    from trd.config import Recipe


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
    require("trd reproduce", "train", "report")
    from trd.config import DEFAULT_RECIPE, load_recipe
    from trd_bench.reproduce.published import BENCHMARKS
    from trd_bench.reproduce.reproduce import reproduce as run_all
    from trd_bench.reproduce.reproduce import variant_names
    from trd_bench.reproduce.variants import FULL

    default = BENCHMARKS[benchmark].recipe if benchmark in BENCHMARKS else DEFAULT_RECIPE
    base = load_recipe(recipe or default, overrides or ())
    numbers = names(seeds) or [str(base.seed)]
    if not all(number.isdecimal() for number in numbers):
        raise RecipeError(f"--seeds {seeds}: expected whole numbers, for example 42,43,44")
    selected = names(variants) or (variant_names(base) if ablation else (FULL,))
    label = base.name + "".join(f", {override}" for override in overrides or ())
    seed_numbers = [int(number) for number in numbers]
    with interruptible():
        run_all(benchmark, data, out, base, seed_numbers, names(classes), selected, executor, device, console, label)
    console.print(f"tables: {out / 'table.md'}, {out / 'table.tex'}, {out / 'table.csv'}")


@app.command()
def compare(
    data: Annotated[Path, typer.Argument(help="Folder of one class or of several classes.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for all runs and the page; the same one goes on.")],
    recipes: Annotated[str, typer.Option("--recipes", help="Names or TOML files, comma-separated.")],
    seeds: Annotated[str | None, typer.Option("--seeds", help="Comma-separated; by default each recipe's.")] = None,
    classes: ClassesOption = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Of all recipes, frame.size=192, or of one, RECIPE:training.epochs=20. Repeatable."),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Which recipe for these parts? Trains each, and compares accuracy, with intervals, and cost on one page."""
    require("trd compare", "train", "report")
    from trd_bench.compare.compare import CSV, HTML, JSON, MARKDOWN
    from trd_bench.compare.compare import compare as run_all

    numbers = names(seeds) or []
    if not all(number.isdecimal() for number in numbers):
        raise RecipeError(f"--seeds {seeds}: expected whole numbers, for example 42,43")
    chosen = _recipes(names(recipes) or [], overrides or [])
    with interruptible():
        comparison, failures = run_all(data, out, chosen, [int(n) for n in numbers], names(classes), device, console)
    rows = comparison.overall
    table = Table()
    for label in ("recipe", "image AUROC", "difference to the best", "verdict", "ms per part"):
        table.add_column(label, overflow="fold")
    from trd_bench.compare.page import cells

    for row in rows:
        line = cells(row)
        table.add_row(*line[:4], line[10])
    if comparison.synthetic:
        errors.print(comparison.synthetic, style="yellow", markup=False, highlight=False)
    console.print(table)
    console.print(comparison.conclusion, markup=False, highlight=False)
    console.print(f"page: {out / HTML}; also {MARKDOWN}, {CSV}, {JSON}", markup=False)
    if failures:
        raise TRDError(f"{len(failures)} failed, the rest was compared:\n" + "\n".join(f"  {f}" for f in failures))


def _recipes(requested: Sequence[str], overrides: Sequence[str]) -> list[Recipe]:
    """Raises RecipeError for fewer than one recipe, and for an override of a recipe that is not compared."""
    from trd.config import load_recipe

    if not requested:
        raise RecipeError("--recipes: name at least one, better two: `trd recipes` lists them")
    common, recipe_overrides = [], {name: list[str]() for name in requested}
    for override in overrides:
        name, colon, setting = override.partition(":")
        if not colon or "=" in name:  # a colon in a value is none of ours
            common.append(override)
        elif name in recipe_overrides:
            recipe_overrides[name].append(setting)
        else:
            raise RecipeError(f"--set {override}: '{name}' is not among the recipes; there are: {', '.join(requested)}")
    recipes = []
    for name in requested:
        try:
            recipes.append(load_recipe(name, [*common, *recipe_overrides[name]]))
        except RecipeError as error:
            hint = "; to set it for one recipe only: --set RECIPE:key=value" if common else ""
            raise RecipeError(f"{error}{hint}") from error
    return recipes
