"""Tasks -> RESULTS/NAME.npz: scores of every map, metrics, and the pixel profile that intervals are resampled from."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
from plan import Task
from rich.console import Console

from trd.config import Recipe, load_recipe
from trd.data.listing import list_class
from trd.detector import Detector
from trd.evaluation.evaluate import FUSED, evaluate_files
from trd.evaluation.pixel_profile import pixel_profile
from trd.evidence.base import FitJob
from trd.evidence.detection import fit_evidence
from trd.training.fit import fit_prepared
from trd.training.prepare import list_parts, prepare_class
from trd.types import ClassFolder, State

QUIET = Console(quiet=True)


def run(plan: Path, results: Path, device: str, workers: int, models: Path | None) -> None:
    results.mkdir(parents=True, exist_ok=True)
    tasks = [Task(**json.loads(line)) for line in plan.read_text("utf-8").splitlines() if line.strip()]
    context = multiprocessing.get_context("spawn")  # a process that has used a GPU cannot be forked
    with tempfile.TemporaryDirectory(dir=results) as taken:
        processes = [
            context.Process(target=_work, args=(tasks, results, taken, device, models)) for _ in range(workers)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()


def _work(tasks: list[Task], results: Path, taken: str, device: str, models: Path | None) -> None:
    """Take what nobody has taken, until nothing is left; a failure is told and the next task taken."""
    import torch

    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    for task in tasks:
        target = results / f"{task.name}.npz"
        try:
            (Path(taken) / task.name).touch(exist_ok=False)
        except FileExistsError:
            continue
        if target.exists():
            continue
        begin = time.monotonic()
        try:
            _measure_task(task, results, device, models)
            print(f"{task.name}: {time.monotonic() - begin:.0f} s", flush=True)
        except Exception:
            print(f"{task.name}: failed\n{traceback.format_exc()}", flush=True)


def _measure_task(task: Task, results: Path, device: str, models: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = ClassFolder(task.class_name, _linked(task, Path(folder) / "data"))
        recipe = _recipe(task, task.settings)
        files, record = list_parts(place, recipe, QUIET)
        parts = prepare_class(files, recipe, record, QUIET)
        states: list[State] = []

        def fit(job: FitJob) -> State:
            states.append(fit_evidence(job))
            return states[0]

        detector = fit_prepared(parts, fit, Path(folder) / "run", device, QUIET)
        _save(detector, task, place, results / f"{task.name}.npz", record["seconds"])
        if models is not None and task.name.startswith("default-") and task.name.count("-") == 1:
            shutil.copytree(Path(folder) / "run", models / task.name, dirs_exist_ok=True)
        for name, settings in task.rescored.items():
            other = _recipe(task, [*task.settings, *settings])
            listed = (*other.evidence, "teacher")
            kept = {key: value for key, value in states[0].items() if key.partition(".")[0] in listed}
            again = fit_prepared(
                replace(parts, recipe=other), lambda job, kept=kept: kept, Path(folder) / name, device, QUIET
            )
            _save(again, task, place, results / f"{task.name}+{name}.npz", {})


def _recipe(task: Task, settings: list[str]) -> Recipe:
    recipe = load_recipe(task.recipe, [*settings, f"seed={task.seed}", "scoring.stand_ins=false"])
    return recipe.for_class(task.class_name)


def _linked(task: Task, folder: Path) -> Path:
    """The task's parts as one class folder of links."""
    train, test = Path(task.train) / task.class_name, Path(task.test) / task.class_name
    for source in ("rgb", "xyz"):
        target = folder / "train/good" / source
        target.mkdir(parents=True)
        own = sorted((train / "train/good" / source).iterdir())
        for path in own if task.parts is None else [own[index] for index in task.parts]:
            (target / path.name).symlink_to(path)
        for planted in task.bad:
            kind, stem = planted.split("/")
            (path,) = (Path(task.bad_root) / task.class_name / "test" / kind / source).glob(f"{stem}.*")
            (target / f"{kind}_{path.name}").symlink_to(path)
    (folder / "validation").symlink_to(train / "validation")
    (folder / "test").symlink_to(test / "test")
    return folder


def _save(detector: Detector, task: Task, place: ClassFolder, target: Path, seconds: dict[str, float]) -> None:
    recipe = detector.recipe
    result = evaluate_files(
        detector, place.name, list_class(place.path, "", recipe.sources, recipe.point_cloud_sources), QUIET
    )
    if result.masks is None:
        raise ValueError(f"{task.test}/{task.class_name} has no masks")
    threshold = detector.calibration.image_threshold
    head = {
        "recipe": task.recipe,
        "defects": result.defects,
        "metrics": result.metrics["maps"][FUSED],
        "threshold": threshold.value,
        "rate": threshold.guaranteed_rate,
        "seconds": seconds,
    }
    profile = pixel_profile(result.maps[FUSED], result.masks)
    arrays = {f"score_{name}": values for name, values in result.scores.items()}
    arrays |= {f"profile_{name}": values.astype(np.float32) for name, values in vars(profile).items()}
    temporary = target.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez_compressed(file, head=np.array(json.dumps(head)), **arrays)
    temporary.replace(target)
