"""One command to a benchmark's table: all classes, seeds and variants, going on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from trd.config import Recipe, load_recipe
from trd.data.listing import class_names, list_class
from trd.errors import DataError, RecipeError, TRDError
from trd.files import locked, write_text
from trd.runs import Run
from trd.types import UNLABELLED
from trd_bench.reproduce.executors import EXECUTORS
from trd_bench.reproduce.jobs import Job
from trd_bench.reproduce.published import BENCHMARKS, Benchmark
from trd_bench.reproduce.tables import Result, ablation_tables, benchmark_tables, long_csv, to_latex, to_markdown
from trd_bench.reproduce.variants import FULL, ablation

WAIT = 60.0  # seconds, for another command that writes the same tables or records at the moment


def reproduce(
    benchmark: str,
    data: Path,
    out: Path,
    recipe: Recipe | None = None,
    seeds: Sequence[int] = (42,),
    classes: Sequence[str] | None = None,
    variants: Sequence[str] = (FULL,),
    executor: str = "local",
    device: str = "auto",
    console: Console | None = None,
    label: str = "",
) -> list[Result]:
    """Train and score every class, seed and variant that `out` does not hold yet, and write the tables.

    benchmark: a key of BENCHMARKS. recipe: the benchmark's own by default. classes: by default those of the benchmark
    that `data` holds. variants: names of `variants.ablation`. label: the tables' heading, the recipe's name by default.
    Writes out/table.md, table.tex and table.csv after every job. Raises TRDError naming the jobs that failed, after all
    others have been done; their reasons are in the run.json of each run folder.
    """
    console = console or Console(quiet=True)
    begin = time.monotonic()
    benchmark_entry = _known_benchmark(benchmark)
    recipe = recipe or load_recipe(benchmark_entry.recipe)
    label = label or recipe.name
    if executor not in EXECUTORS:
        raise RecipeError(f"no executor is called '{executor}'; there are: {', '.join(EXECUTORS)}")
    data, out = data.resolve(), out.resolve()  # workers on other machines have another working directory
    data, selected = _classes(data, benchmark_entry, classes, console)
    seeds, variants = tuple(dict.fromkeys(seeds)), tuple(dict.fromkeys(variants))
    _refuse_unlabelled(data, selected, recipe)
    jobs = _jobs(data, out, recipe, seeds, selected, variants, console)
    todo = [job for job in jobs if not job.is_done()]
    console.print(
        f"{len(jobs)} jobs ({len(variants)} variants, {len(seeds)} seeds, {len(selected)} classes), "
        f"{len(jobs) - len(todo)} of them done before"
    )
    for job in jobs:
        run = Run(data, job.out, job.recipe, (), None)
        if job not in todo and not run.record.has_noted(job.class_name, "job"):  # stopped between its results and this
            with run.alone(WAIT):
                run.record.note(job.class_name, "job", {"state": "done"})
    failed: dict[str, str] = {}
    for count, (job, outcome) in enumerate(EXECUTORS[executor](todo, device, console), start=1):
        run = Run(data, job.out, job.recipe, (), None)  # opened before any job was begun
        reason = outcome.failure
        if reason is None and job.metrics() is None:
            reason = f"no results in {job.folder}: do all machines see it under this path?"
        state = {"state": "done", "seconds": outcome.seconds}
        if reason is not None:
            failed[job.title] = reason
            state = {"state": "failed", "reason": outcome.details or reason}
        with run.alone(WAIT):
            run.record.note(job.class_name, "job", state)
        if reason is not None:
            console.print(f"{job.title} failed: ", end="", style="red", markup=False)
            console.print(reason, markup=False)
        seconds_left = (time.monotonic() - begin) / count * (len(todo) - count)
        progress = f"{outcome.seconds:.0f} s, {seconds_left / 60:.0f} min left"
        console.print(f"job {count}/{len(todo)} {job.title}: {progress}", markup=False)
        write_tables(out, _results(jobs), benchmark_entry, selected, label)
    results = _results(jobs)
    write_tables(out, results, benchmark_entry, selected, label)
    if failed:
        lines = "\n".join(f"  {title}: {reason}" for title, reason in failed.items())
        raise TRDError(f"{len(failed)} of {len(jobs)} jobs failed:\n{lines}\nThe same command tries them again.")
    return results


def write_tables(out: Path, results: Sequence[Result], benchmark: Benchmark, classes: Sequence[str], name: str) -> None:
    """table.md, table.tex and table.csv of what there is so far; nothing where there is nothing."""
    if not results:
        return
    tables = []
    if any(r.variant == FULL for r in results):
        tables += benchmark_tables(results, benchmark, classes, name)
    if {r.variant for r in results} - {FULL}:
        tables += ablation_tables(results, classes)
    with locked(out, "writing tables", wait=WAIT):
        write_text(out / "table.md", f"# {name}\n\n" + to_markdown(tables))
        write_text(out / "table.tex", to_latex(tables))
        write_text(out / "table.csv", long_csv(results))


def variant_names(recipe: Recipe) -> tuple[str, ...]:
    """All variants that an ablation of this recipe has."""
    return tuple(ablation(recipe))


def _known_benchmark(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise RecipeError(f"no benchmark is called '{name}'; there are: {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def _classes(
    data: Path, benchmark: Benchmark, requested: Sequence[str] | None, console: Console
) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds the classes, and which of them to run."""
    present = class_names(data)
    if present == ("",):
        data, present = data.resolve().parent, (data.resolve().name,)
    selected = tuple(dict.fromkeys(requested or [name for name in benchmark.classes or present if name in present]))
    absent = [name for name in selected if name not in present]
    if absent or not selected:
        raise DataError(
            f"{data} holds no class '{absent[0] if absent else benchmark.classes[0]}'; there are: {', '.join(present)} "
            "(`trd reproduce folder` takes any class names)"
        )
    missing = [name for name in benchmark.classes if name not in present]
    if missing and not requested:
        console.print(f"not in {data}, left out: {', '.join(missing)}", markup=False)
    return data, selected


def _refuse_unlabelled(data: Path, classes: Sequence[str], recipe: Recipe) -> None:
    """Before anything is trained: a class whose test split cannot be scored raises DataError."""
    for name in classes:
        test = list_class(data, name, recipe.inputs, recipe.point_cloud_sources).test
        unlabelled = [sample for sample in test if sample.defect == UNLABELLED]
        if not test or unlabelled:
            first = next(iter(unlabelled[0].sources.values())) if unlabelled else data / name
            fault = f"{first} has no label (or its mask is missing)" if unlabelled else f"{first} has no test split"
            raise DataError(f"{fault}: a benchmark scores labelled test parts; leave the class out with --classes")


def _jobs(
    data: Path,
    out: Path,
    recipe: Recipe,
    seeds: Sequence[int],
    classes: Sequence[str],
    variants: Sequence[str],
    console: Console,
) -> list[Job]:
    """In the order seed, variant, class, so that whole tables come early. Raises CheckpointError for foreign runs."""
    recipes = {FULL: recipe} if tuple(variants) == (FULL,) else ablation(recipe)
    unknown = [variant for variant in variants if variant not in recipes]
    if unknown:
        raise RecipeError(f"no variant is called '{unknown[0]}'; there are: {', '.join(recipes)}")
    jobs = []
    for seed in seeds:
        for variant in variants:
            seeded = recipes[variant].with_seed(seed)
            folder = out / variant / f"seed-{seed}"
            Run.open(data, folder, seeded, classes, console)
            jobs += [Job(variant, seed, name, seeded, data, folder) for name in classes]
    return jobs


def _results(jobs: Sequence[Job]) -> list[Result]:
    """Of all jobs that are done, by variant."""
    finished = [(job, metrics) for job in jobs if (metrics := job.metrics()) is not None]
    order = {variant: rank for rank, variant in enumerate(dict.fromkeys(job.variant for job in jobs))}
    finished.sort(key=lambda pair: order[pair[0].variant])
    return [Result(job.variant, job.seed, job.class_name, metrics) for job, metrics in finished]
