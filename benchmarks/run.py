"""Speeds as ratios to the straightforward version (`baseline.py`), measured side by side in one run.

    python benchmarks/run.py [PART ...] [--size lite|paper|both] [--device cuda] [--compile]

Each line: what, straightforward, ours, ratio. Both run alternately and the median counts, so that a machine that slows
down in between hurts both. Nothing else may run meanwhile. `growth.py` measures how cost grows.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

import baseline
import numpy as np
import torch
from timing import compare, shares, timed
from torch.utils.data import DataLoader

from trd.config import Recipe, load_recipe
from trd.data.demo import CLASS_NAME, draw_demo
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.pytorch.precision import resolve_precision
from trd.evaluation.curves import AUPRO_LIMITS, evaluate_maps
from trd.evidence.repeatable import deterministic, repeatable
from trd.evidence.reverse_distillation.restored import build_network, section
from trd.evidence.reverse_distillation.training.features import teacher_features
from trd.evidence.reverse_distillation.training.loss import network_loss
from trd.evidence.reverse_distillation.training.views import UPRIGHT, all_views
from trd.preprocess.normals import sobel_normals_image, surface_normals_image
from trd.preprocess.parts import PreparedParts
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.threads import in_threads
from trd.teachers.frozen import FrozenTeacher, TeacherGraph
from trd.training.fit import fit_class
from trd.types import ClassFolder, Sample

RECIPES = {"lite": "lite-residual", "paper": "mvtec3d-rgb-normals"}
NETWORK_ALONE = {"lite": ["evidence.patch_statistics=false"], "paper": []}
CLASS_PARTS = 250  # about a class of MVTec 3D-AD


@dataclass(frozen=True)
class Setting:
    """data: a drawn class. size: key of RECIPES. batch: samples per training step and per prediction."""

    data: Path
    size: str
    device: str
    repeats: int
    training_batch: int
    batch: int
    compiled: bool

    def wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()

    def recipe(self, *overrides: str) -> Recipe:
        return random_teacher(
            load_recipe(RECIPES[self.size], [*NETWORK_ALONE[self.size], "precision=auto", *overrides])
        )

    def peak(self, work: Callable[[], object]) -> str:
        """GPU memory that `work` takes with all that is held; of the processor's memory growth.py tells."""
        if not self.device.startswith("cuda"):
            return ""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        return f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GB of GPU memory"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--size", choices=["lite", "paper", "both"], default="both")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8, help="samples per prediction")
    parser.add_argument("--training-batch", type=int, help="by default 4 for lite, 2 for paper size (16 on GPUs)")
    parser.add_argument("--compile", action="store_true", help="torch.compile our side")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    gpu = arguments.device.startswith("cuda")
    print(
        f"{torch.cuda.get_device_name() if gpu else platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, precision auto = {resolve_precision('auto', arguments.device)}, "
        f"{time.strftime('%Y-%m-%d')}"
    )
    with tempfile.TemporaryDirectory() as folder:
        draw_demo(Path(folder), train=max(8, arguments.batch), validation=4, good=4, per_kind=4)
        for part in arguments.parts or PARTS:
            print(f"\n{part}")
            if part not in SIZED:
                PARTS[part](arguments.repeats, arguments.device)
                continue
            for size in ["lite", "paper"] if arguments.size == "both" else [arguments.size]:
                batch = arguments.training_batch or {"lite": 4, "paper": 16 if gpu else 2}[size]
                SIZED[part](
                    Setting(
                        Path(folder),
                        size,
                        arguments.device,
                        arguments.repeats,
                        batch,
                        arguments.batch,
                        arguments.compile,
                    )
                )


def preparation(repeats: int, device: str) -> None:
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


def profile(setting: Setting) -> None:
    """Operations of a training step and of a prediction."""
    print(f"  {setting.size}: training step")
    training(setting, profile=True)
    print(f"  {setting.size}: prediction, batch of {setting.batch}")
    inference(setting, profile=True)


def training(setting: Setting, profile: bool = False) -> None:
    recipe = setting.recipe()
    with repeatable(recipe.seed), deterministic(section(recipe).training.deterministic):  # as `trd train` does
        _training(setting, profile)


def _training(setting: Setting, profile: bool) -> None:
    recipe, batch, size = setting.recipe(), setting.training_batch, setting.size
    config = section(recipe).training
    samples = decoded(setting.data, recipe, batch)
    pipeline = Pipeline.fit(recipe, iter(samples[:1]))
    graph = TeacherGraph(recipe.teacher).to(setting.device).eval()
    teacher = FrozenTeacher(graph, torch.device(setting.device))
    plain, fast = (
        build_network(recipe, teacher.channels, teacher.linear_outputs).to(setting.device).train() for _ in range(2)
    )
    if setting.compiled:
        for student in fast.students.values():
            student.compile()
    slow_adam = baseline.optimiser(plain, recipe)
    adam = torch.optim.Adam(fast.students.parameters(), lr=config.learning_rate, fused=True)
    dataset = PreparedParts(batch, lambda index: pipeline(samples[index]))
    bf16 = resolve_precision("auto", setting.device) == "bf16"
    features = teacher_features(teacher, fast, recipe, batch)

    def ours() -> None:
        with torch.autocast(setting.device.partition(":")[0], torch.bfloat16, enabled=bf16):
            output = fast.rebuild(features(list(dataset), [UPRIGHT] * batch))
        terms = network_loss(output, config.loss)
        adam.zero_grad()
        torch.stack([term for branch in terms.values() for term in branch.values()]).sum().backward()
        adam.step()
        setting.wait()

    def first_time() -> None:
        features.forget()
        ours()

    if profile:
        shares(ours, setting.device.startswith("cuda"))
        return
    seconds = [
        compare(
            f"{size}: training step, batch {batch}, per sample, {title}",
            lambda: baseline.training_step(graph, plain, slow_adam, pipeline, samples, config.loss),
            step,
            setting.repeats,
            batch,
        )
        for title, step in (("new views", first_time), ("known views", ours))
    ]
    plain = slow_adam = None  # not in our peak
    epochs, views = config.epochs, len(all_views(config.augment, square=True))
    new = views * (1 - (1 - 1 / views) ** epochs) / epochs  # expected share of steps that need the teacher
    average = new * seconds[0][1] + (1 - new) * seconds[1][1]
    ratio = sum(slow for slow, _ in seconds) / 2 / average
    minutes = average * CLASS_PARTS * epochs / 60000
    print(
        f"    over all {epochs} epochs, {new:.1%} of whose views are new: {average:.1f} ms, {ratio:.2f} x; "
        f"with {CLASS_PARTS} parts {minutes:.1f} min{setting.peak(first_time)}"
    )


def waiting(setting: Setting) -> None:
    """Share of real epochs that passes until a batch is there, after the first epoch."""
    marks: list[tuple[float, float]] = []

    class TimedLoader(DataLoader):
        def __iter__(self):
            batches, waited = super().__iter__(), 0.0
            begin = time.perf_counter()
            for number in range(len(self)):
                asked = time.perf_counter()
                batch = next(batches)
                waited += time.perf_counter() - asked
                if number == len(self) - 1:
                    marks.append((begin, waited))
                yield batch

    recipe = setting.recipe("training.epochs=5", f"training.batch_size={setting.training_batch}")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch("trd.evidence.reverse_distillation.training.trainer.DataLoader", TimedLoader),
    ):
        fit_class(ClassFolder(CLASS_NAME, setting.data / CLASS_NAME), recipe, Path(folder), setting.device)
    epochs = [(waited, following - begin) for (begin, waited), (following, _) in pairwise(marks)][1:]
    share = sum(waited for waited, _ in epochs) / sum(seconds for _, seconds in epochs)
    print(f"  {setting.size}: {share:.3%} of an epoch's time is spent waiting for data")


def inference(setting: Setting, profile: bool = False) -> None:
    recipe, size, count = setting.recipe("training.epochs=1"), setting.size, setting.batch
    with tempfile.TemporaryDirectory() as folder:
        fit_class(ClassFolder(CLASS_NAME, setting.data / CLASS_NAME), recipe, Path(folder), setting.device)
        detector = Detector.load(folder, setting.device, setting.compiled)
        modules = baseline.plain_modules(Path(folder), detector)
    samples = decoded(setting.data, recipe, count)
    prepared = [detector.pipeline(sample) for sample in samples]
    if profile:
        shares(lambda: scores(detector, samples), setting.device.startswith("cuda"))
        return

    def plain() -> None:
        baseline.predict(modules, samples[0])

    compare(f"{size}: arrays to score, one by one", plain, lambda: scores(detector, samples[:1]), setting.repeats)
    compare(f"{size}: arrays to score, batch of {count}, per sample",
            lambda: [baseline.predict(modules, sample) for sample in samples],
            lambda: scores(detector, samples), max(2, setting.repeats // 2), count)  # fmt: skip

    def network() -> None:
        detector.raw_maps(prepared)
        setting.wait()

    def one() -> None:
        detector.raw_maps(prepared[:1])
        setting.wait()

    for title, work in (
        ("preparation", lambda: list(in_threads(detector.pipeline, samples))),
        ("network", network),
        ("all but preparation", lambda: list(detector.score(prepared, count))),
    ):
        print(f"    of which {title:20s} {timed(work) / count:8.2f} ms per sample in the batch")
    print(f"    network alone, one sample      {timed(one):8.2f} ms{setting.peak(network)}")


def scores(detector: Detector, samples: list[Sample]) -> list[float]:
    count = len(samples)
    return [scored.score for scored in detector.score(in_threads(detector.pipeline, samples, count), count)]


def metrics(repeats: int, device: str) -> None:
    maps, masks = scored_maps()
    plain = baseline.metrics(maps, masks, AUPRO_LIMITS)
    ours = evaluate_maps(maps, masks, aupro_thresholds=100, device=device)
    print(f"  largest difference (AUROC, AP, F1max, sampled AUPRO): {max(abs(plain[k] - ours[k]) for k in plain):.1e}")
    compare(
        "100 maps of 256 x 256, all metrics",
        lambda: baseline.metrics(maps, masks, AUPRO_LIMITS),
        lambda: evaluate_maps(maps, masks, device=device),
        max(2, repeats // 2),
    )


def limits(repeats: int, device: str) -> None:
    """What the machine does on a plain matrix product and a plain copy, to hold the rest against."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(4096, 4096).to(device, dtype)
        seconds = timed(lambda a=a: (a @ a, wait()), repeats) / 1000
        print(f"  matrix product 4096^3, {dtype}: {2 * 4096**3 / seconds / 1e9:.0f} GFLOP/s")
    big = torch.empty(64 * 2**20, device=device)
    target = torch.empty_like(big)
    rate = 2 * 4 * big.numel() / timed(lambda: (target.copy_(big), wait()), repeats) / 1e6
    print(f"  copy: {rate:.1f} GB/s read and written")


def scan(size: int = 800) -> np.ndarray:
    """An organised cloud like a sensor's: a dome of 5 cm on a table, noise, one point in twenty missing."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] * (0.12 / size)
    height = np.sqrt(np.clip(0.025**2 - (x - 0.06) ** 2 - (y - 0.06) ** 2, 0, None))
    xyz = np.dstack([x, y, 0.5 - height + rng.normal(0, 2e-5, (size, size))]).astype(np.float32)
    xyz[rng.random((size, size)) < 0.05] = 0
    return xyz


def scored_maps(count: int = 100, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    maps, masks = rng.normal(size=(count, size, size)).astype(np.float32), np.zeros((count, size, size), bool)
    for index in range(3 * count // 4):
        for _ in range(2):
            top, left = rng.integers(0, size - 36, 2)
            masks[index, top : top + rng.integers(5, 30), left : left + rng.integers(5, 30)] = True
    maps[masks] += 1.5
    return maps, masks


def decoded(data: Path, recipe: Recipe, count: int) -> list[Sample]:
    files = list_class(data, CLASS_NAME, recipe.sources, recipe.point_cloud_sources)
    return [load_sample(sample, recipe.point_cloud_sources, files.camera) for sample in files.train[:count]]


def random_teacher(recipe: Recipe) -> Recipe:
    """Speed does not depend on the weights, and the large teacher's must be downloaded."""
    if recipe.teacher.name == "efficientnet_lite0":
        return recipe
    return recipe.changed("teacher.weights=random")


default_threads = torch.get_num_threads()
SIZED = {"training": training, "waiting": waiting, "inference": inference, "profile": profile}
PARTS = {"preparation": preparation, "metrics": metrics, "limits": limits, **SIZED}

if __name__ == "__main__":
    main()
