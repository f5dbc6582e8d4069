"""Which method for these parts? Trains and measures several recipes on the same parts and says how sure the answer is.

OUT/runs/RECIPE/seed-S/       a run folder as `trd train` makes it; compare.npz in its class folders: scores per part
OUT/synthetic/CLASS/          where there are no labelled defects: the parts with defects drawn in
OUT/compare.html compare.md compare.csv compare.json
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from rich.console import Console

from trd.config import Recipe
from trd.data.listing import class_folders
from trd.errors import RecipeError, TRDError
from trd.files import locked, write_json, write_text
from trd.runs import Run
from trd_bench.compare.look import Loaded, PartPictures
from trd_bench.compare.measure import Measured, complete
from trd_bench.compare.page import Comparison, csv_text, html, json_values, markdown
from trd_bench.compare.statistics import ClassMeasurements, mean_rows
from trd_bench.compare.testing import TestSet, test_sets

HTML, MARKDOWN, CSV, JSON = "compare.html", "compare.md", "compare.csv", "compare.json"
RUNS, SYNTHETIC = "runs", "synthetic"


def compare(
    data: Path,
    out: Path,
    recipes: Sequence[Recipe],
    seeds: Sequence[int] = (),
    classes: Sequence[str] | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> tuple[Comparison, list[str]]:
    """Train what `out` does not hold yet, measure all, and write the comparison; and what failed, a line each.

    seeds: of training, each recipe's own by default. What fails for one recipe on one class is left out there, and the
    rest goes on. Raises RecipeError for recipes that cannot be told apart, CheckpointError where `out` holds other
    ones of these names, TRDError where nothing could be compared.
    """
    console = console or Console(quiet=True)
    _refuse_names(recipes)
    places = class_folders(data, classes)
    with locked(out, "a comparison"):
        runs = _opened(data, out, recipes, seeds, [place.name for place in places], console)
        tests, notes, failed = test_sets(places, recipes, out / SYNTHETIC, console)
        for note in notes:
            console.print(note, style="yellow", markup=False)
        failures = [f"{name}: {reason}" for name, reason in failed.items()]
        by_name = {test.place.name: test for test in tests}
        measured: list[Measured] = []
        for run in runs:
            run.classes = tuple(test.place for test in tests)
            measured += complete(run, by_name, device).values() if tests else []
            failures += [f"{run.recipe.name}, seed {run.recipe.seed}: {reason}" for reason in run.failures.values()]
        measured, left_out = _on_the_same_parts(measured)
        failures += left_out
        grouped = [_class_measurements(test, number, recipes, measured) for number, test in enumerate(tests)]
        compared = [cls for cls in grouped if cls.measured]
        if not compared:
            raise TRDError("nothing could be compared:\n" + "\n".join(f"  {line}" for line in failures))
        pictures = {cls.test.place.name: _pictures(cls, device, console) for cls in compared}
        mean, mean_of = mean_rows(compared) if len(compared) > 1 else ((), ())
        comparison = Comparison(
            title=f"TRD: recipes compared on {', '.join(cls.test.place.name for cls in compared)}",
            synthetic=_about_synthetic(tests),
            notes=(*notes, *(f"Failed: {line}" for line in failures), *_incomplete(compared, mean_of)),
            mean=mean,
            mean_of=mean_of,
            classes=tuple(cls.table() for cls in compared),
            facts=_facts(data, runs, compared),
            pictures=pictures,
        )
        write_text(out / CSV, csv_text(comparison))
        write_json(out / JSON, json_values(comparison))
        write_text(out / MARKDOWN, markdown(comparison))
        write_text(out / HTML, html(comparison))
    return comparison, failures


def _refuse_names(recipes: Sequence[Recipe]) -> None:
    names = [recipe.name for recipe in recipes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"two recipes are called '{twice}': give each a name of its own (`name` in the TOML file)")
    for name in names:
        if name.startswith(".") or any(character in name for character in '/\\:*?"<>|\0'):
            raise RecipeError(f"the recipe's name '{name}' cannot be that of a folder: change `name` in its TOML file")


def _opened(
    data: Path, out: Path, recipes: Sequence[Recipe], seeds: Sequence[int], classes: Sequence[str], console: Console
) -> list[Run]:
    """In the order seed, recipe, so that an interruption leaves whole comparisons."""
    runs = []
    for seed in dict.fromkeys(seeds) or [None]:
        for recipe in recipes:
            seeded = recipe if seed is None else recipe.with_seed(seed)
            folder = out / RUNS / recipe.name / f"seed-{seeded.seed}"
            runs.append(Run.open(data, folder, seeded, classes, console))
    return runs


def _on_the_same_parts(measured: Sequence[Measured]) -> tuple[list[Measured], list[str]]:
    """Those that were measured on the parts on which the first one of their class was, and a line for each other."""
    first: dict[str, Measured] = {}
    same, left_out = [], []
    for training in measured:
        reference = first.setdefault(training.class_name, training)
        if training.ids == reference.ids:
            same.append(training)
        else:
            left_out.append(
                f"{training.recipe}, seed {training.seed}: {training.class_name}: its sources give "
                f"{len(training.ids)} test parts, those of {reference.recipe} {len(reference.ids)}, or others: "
                "complete the files of every part"
            )
    return same, left_out


def _class_measurements(
    test: TestSet, number: int, recipes: Sequence[Recipe], measured: Sequence[Measured]
) -> ClassMeasurements:
    class_trainings = [training for training in measured if training.class_name == test.place.name]
    by_recipe = {
        recipe.name: [training for training in class_trainings if training.recipe == recipe.name] for recipe in recipes
    }
    return ClassMeasurements(test, {name: trainings for name, trainings in by_recipe.items() if trainings}, number)


def _pictures(cls: ClassMeasurements, device: str, console: Console) -> tuple[PartPictures, ...]:
    """Times the detectors, which is noted in `cls.costs`, and draws what they disagree on."""
    with console.status(f"{cls.test.place.name}: time per part and pictures"):
        loaded = Loaded(cls.test, cls.measured, device)
        cls.costs.update(loaded.costs())
        return tuple(loaded.pictures(disagreement) for disagreement in cls.disagreements())


def _about_synthetic(tests: Sequence[TestSet]) -> str:
    synthetic_tests = [test for test in tests if test.synthetic is not None]
    if not synthetic_tests:
        return ""
    origins = "; ".join(f"{test.place.name}: {test.origin}" for test in synthetic_tests)
    text = (
        "SYNTHETIC DEFECTS: the data holds no labelled defects, so they were drawn into good parts "
        f"({origins}). The numbers rank recipes on drawn stains, scratches, dents and the like; real defects "
        "may look different. Collect some real ones before you decide."
    )
    if any(test.left_out for test in (test.place for test in synthetic_tests)):
        text += " Those parts are missing from training here: train the chosen recipe anew on all of them."
    if not all(test.unseen for test in synthetic_tests):
        text += " False alarms are not counted where the good parts are those that set the thresholds."
    return text


def _incomplete(compared: Sequence[ClassMeasurements], mean_of: Sequence[str]) -> tuple[str, ...]:
    """Where numbers do not cover what was asked for."""
    missing = [cls.test.place.name for cls in compared if cls.test.place.name not in mean_of]
    return (
        (f"Not in the mean, because not every recipe has results: {', '.join(missing)}.",)
        if mean_of and missing
        else ()
    )


def _facts(data: Path, runs: Sequence[Run], compared: Sequence[ClassMeasurements]) -> dict[str, str]:
    import torch

    from trd.engines.pytorch.precision import processor_name

    devices = dict.fromkeys(f"{name} {cost.device}" for cls in compared for name, cost in cls.costs.items())
    gpu = torch.cuda.get_device_name() if any("cuda" in device for device in devices) else ""
    parts = [m for cls in compared for trainings in cls.measured.values() for m in trainings]
    counts = sorted({m.training_parts for m in parts})
    return {
        "data": str(data.resolve()),
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "good parts trained on, per class": " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]]))),
        "seeds": ", ".join(map(str, dict.fromkeys(run.recipe.seed for run in runs))),
        "timed on": ", ".join(filter(None, [gpu, processor_name(), f"{torch.get_num_threads()} threads"])),
        "computed in": "; ".join(devices),
        "trd": metadata.version("trd-anomaly"),
    }
