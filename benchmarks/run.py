"""Speeds as ratios to the straightforward version (`baseline.py`), measured side by side in one run.

    python benchmarks/run.py [preparation] [training] [inference] [metrics] [limits] [profile] [--size lite|paper|both]

Each line: what, straightforward, ours, ratio. Both run alternately and the median counts, so that a machine that slows
down in between hurts both. Nothing else may run meanwhile. `growth.py` measures how cost grows.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import baseline
import numpy as np
import torch

from trd.config import load_recipe
from trd.data.demo import CLASS_NAME, draw_demo
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.evaluation.curves import AUPRO_LIMITS, evaluate_maps
from trd.model.network import build_network
from trd.model.precision import resolve_precision
from trd.preprocess.dataset import UPRIGHT, PreparedDataset
from trd.preprocess.normals import sobel_normals_image, surface_normals_image
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.threads import in_threads
from trd.training.features import teacher_features
from trd.training.fit import fit_class
from trd.training.loss import network_loss
from trd.types import Sample

PARTS = ["preparation", "training", "inference", "metrics", "limits", "profile"]
RECIPES = {"lite": "lite-rgb-normals", "paper": "mvtec3d-rgb-normals"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", default=["preparation", "training", "inference", "metrics", "limits", "profile"]
    )
    parser.add_argument("--size", choices=["lite", "paper", "both"], default="both")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"precision auto = {resolve_precision('auto', 'cpu')}, {time.strftime('%Y-%m-%d')}"
    )
    sizes = ["lite", "paper"] if arguments.size == "both" else [arguments.size]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        draw_demo(data, train=8, validation=4, good=4, per_kind=4)
        for part in arguments.parts:
            print(f"\n{part}")
            if part in ("training", "inference", "profile"):
                for size in sizes:
                    globals()[part](data, size, arguments.repeats)
            else:
                globals()[part](arguments.repeats)


def compare(
    title: str, plain: Callable[[], object], ours: Callable[[], object], repeats: int, per: int = 1
) -> tuple[float, float]:
    """Alternate both, print and return their medians in ms per unit (`per` units a call)."""
    plain(), ours()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, kept in zip((plain, ours), times, strict=True):
            begin = time.perf_counter()
            function()
            kept.append((time.perf_counter() - begin) * 1000 / per)
    slow, fast = (float(np.median(values)) for values in times)
    print(f"  {title:58s} {slow:9.1f} ms {fast:9.1f} ms   {slow / fast:6.1f} x   ({1000 / fast:.1f} per second)")
    return slow, fast


def scan(size: int = 800) -> np.ndarray:
    """An organised cloud like a sensor's: a dome of 5 cm on a table, noise, one point in twenty missing."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] * (0.12 / size)
    height = np.sqrt(np.clip(0.025**2 - (x - 0.06) ** 2 - (y - 0.06) ** 2, 0, None))
    xyz = np.dstack([x, y, 0.5 - height + rng.normal(0, 2e-5, (size, size))]).astype(np.float32)
    xyz[rng.random((size, size)) < 0.05] = 0
    return xyz


def preparation(repeats: int) -> None:
    torch.set_num_threads(1)
    xyz = scan()
    plain, ours = baseline.sobel_normals(xyz, 256, 5), sobel_normals_image(xyz, 256, 5)
    print(f"  largest difference of the published normals images: {np.abs(plain - ours).max():.1e}")
    compare(
        "published normals image of an 800 x 800 scan, one core",
        lambda: baseline.sobel_normals(xyz, 256, 5),
        lambda: sobel_normals_image(xyz, 256, 5),
        repeats,
    )
    compare(
        "our metric normals of that scan, against the same",
        lambda: baseline.sobel_normals(xyz, 256, 5),
        lambda: surface_normals_image(xyz, 2.0, 3.0),
        repeats,
    )
    torch.set_num_threads(default_threads)


def shares(work: Callable[[], object], rows: int = 10) -> None:
    """Where the time goes: operations by their own share of the processor's time."""
    work()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as measured:
        work()
    events = sorted(measured.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    for event in events[:rows]:
        print(f"    {event.self_cpu_time_total / total:6.1%} {event.key} ({event.count} calls)")


def profile(data: Path, size: str, repeats: int) -> None:
    """Operations of a training step and of a prediction."""
    print(f"  {size}: training step")
    training(data, size, repeats, profile=True)
    print(f"  {size}: prediction, batch of 8")
    inference(data, size, repeats, profile=True)


def training(data: Path, size: str, repeats: int, profile: bool = False) -> None:
    recipe = load_recipe(RECIPES[size], ["training.precision=auto"])
    batch = 4 if size == "lite" else 2
    samples = decoded(data, recipe)[:batch]
    pipeline = Pipeline.fit(recipe, iter(samples))
    plain, fast = (build_network(random_teacher(recipe)).train() for _ in range(2))
    slow_adam = baseline.optimiser(plain, recipe)
    adam = torch.optim.Adam(fast.students.parameters(), lr=recipe.training.learning_rate, fused=True)
    dataset = PreparedDataset(batch, lambda index: pipeline(samples[index]))
    bf16 = resolve_precision("auto", "cpu") == "bf16-mixed"
    features = teacher_features(fast, recipe, batch, torch.device("cpu"))

    def ours() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            output = fast.rebuild(features(list(dataset), [UPRIGHT] * batch))
        terms = network_loss(output, recipe.training.loss)
        adam.zero_grad()
        torch.stack([term for branch in terms.values() for term in branch.values()]).sum().backward()
        adam.step()

    def first_time() -> None:
        features.forget()
        ours()

    if profile:
        shares(ours)
        return
    seconds = [
        compare(
            f"{size}: training step, batch {batch}, per sample, {title}",
            lambda: baseline.training_step(plain, slow_adam, pipeline, samples, recipe.training.loss),
            step,
            repeats,
            batch,
        )
        for title, step in (("new views", first_time), ("known views", ours))
    ]
    epochs, views = recipe.training.epochs, 8 if recipe.training.augment == "flips" else 1
    new = views * (1 - (1 - 1 / views) ** epochs) / epochs  # expected share of steps that need the teacher
    ratio = sum(slow for slow, _ in seconds) / 2 / (new * seconds[0][1] + (1 - new) * seconds[1][1])
    print(f"    over all {epochs} epochs, {new:.0%} of whose views are new: {ratio:.2f} x")


def inference(data: Path, size: str, repeats: int, profile: bool = False) -> None:
    recipe = random_teacher(load_recipe(RECIPES[size], ["training.precision=auto", "training.epochs=1"]))
    with tempfile.TemporaryDirectory() as folder:
        fit_class(data, CLASS_NAME, recipe, Path(folder), "cpu")
        detector = Detector.load(folder, "cpu")
    samples = decoded(data, recipe)[:8]
    prepared = [detector.pipeline(sample) for sample in samples]
    count = len(samples)
    if profile:
        shares(lambda: scores(detector, samples))
        return

    def plain() -> None:
        baseline.predict(detector, samples[0])

    compare(f"{size}: arrays to score, one by one", plain, lambda: scores(detector, samples[:1]), repeats)
    compare(f"{size}: arrays to score, batch of {count}, per sample",
            lambda: [baseline.predict(detector, sample) for sample in samples],
            lambda: scores(detector, samples), max(2, repeats // 2), count)  # fmt: skip
    for title, work in (
        ("preparation", lambda: list(in_threads(detector.pipeline, samples))),
        ("network", lambda: detector.forward(prepared)),
        ("network and maps", lambda: detector.raw_maps(prepared)),
        ("all but preparation", lambda: list(detector.score(prepared))),
    ):
        print(f"    of which {title:20s} {timed(work) / count:8.1f} ms per sample in the batch")


def scores(detector: Detector, samples: list[Sample]) -> list[float]:
    return [scored.score for scored in detector.score(in_threads(detector.pipeline, samples))]


def metrics(repeats: int) -> None:
    maps, masks = scored_maps()
    plain = baseline.metrics(maps, masks, AUPRO_LIMITS)
    ours = evaluate_maps(maps, masks, aupro_thresholds=100)
    print(f"  largest difference (AUROC, AP, F1max, sampled AUPRO): {max(abs(plain[k] - ours[k]) for k in plain):.1e}")
    compare(
        "100 maps of 256 x 256, all metrics",
        lambda: baseline.metrics(maps, masks, AUPRO_LIMITS),
        lambda: evaluate_maps(maps, masks),
        max(2, repeats // 2),
    )


def limits(repeats: int) -> None:
    """What the machine does on a plain matrix product and a plain copy, to hold the rest against."""
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(4096, 4096).to(dtype)
        seconds = timed(lambda a=a: a @ a, repeats) / 1000
        print(f"  matrix product 4096^3, {dtype}: {2 * 4096**3 / seconds / 1e9:.0f} GFLOP/s")
    big = torch.empty(64 * 2**20)
    target = torch.empty_like(big)
    print(f"  copy: {2 * 4 * big.numel() / timed(lambda: target.copy_(big), repeats) / 1e6:.1f} GB/s read and written")


def timed(work: Callable[[], object], repeats: int = 5) -> float:
    work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return float(np.median(times))


def scored_maps(count: int = 100, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    maps, masks = rng.normal(size=(count, size, size)).astype(np.float32), np.zeros((count, size, size), bool)
    for index in range(3 * count // 4):
        for _ in range(2):
            top, left = rng.integers(0, size - 36, 2)
            masks[index, top : top + rng.integers(5, 30), left : left + rng.integers(5, 30)] = True
    maps[masks] += 1.5
    return maps, masks


def decoded(data: Path, recipe) -> list[Sample]:
    files = list_class(data, CLASS_NAME, recipe.sources, recipe.point_cloud_sources)
    return [load_sample(sample, recipe.point_cloud_sources, files.camera) for sample in files.train]


def random_teacher(recipe):
    """Speed does not depend on the weights, and the large teacher's must be downloaded."""
    if recipe.teacher.name == "efficientnet_lite0":
        return recipe
    return recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"weights": "random"})})


default_threads = torch.get_num_threads()

if __name__ == "__main__":
    main()
