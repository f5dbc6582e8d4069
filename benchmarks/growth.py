"""How cost grows with image size, number of modalities and number of training samples.

    python benchmarks/growth.py [--recipe lite-rgb] [--device cpu]

Every row is a process of its own, so that its peak memory is its own. Colour modalities of random images stand in for
any others: the network does not care. Times are medians; nothing else may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch

from trd.config import load_recipe
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.precision import resolve_precision
from trd.evidence.base import GraphContext
from trd.evidence.reverse_distillation.graphs import student_graphs
from trd.evidence.reverse_distillation.restored import build_network, section
from trd.evidence.reverse_distillation.training.features import teacher_features
from trd.evidence.reverse_distillation.training.loss import network_loss
from trd.evidence.reverse_distillation.training.views import UPRIGHT, all_views
from trd.preprocess.parts import batches, stacked_images
from trd.teachers.frozen import FrozenTeacher, TeacherGraph, teacher_graphs
from trd.types import PreparedSample

BATCH = 4
ROWS = [
    *((size, modalities, 50) for size in (256, 384, 512) for modalities in (1, 2, 3, 4)),
    *((256, 2, samples) for samples in (200, 1000)),
]
HEADINGS = (
    "size", "modalities", "samples", "parameters", "first step", "step", "epoch", "inference", "peak training",
    "peak inference",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="lite-rgb")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", nargs="*", metavar="SIZE,MODALITIES,SAMPLES", help="instead of the whole table")
    parser.add_argument("--stage", choices=["training", "inference"], help="internal: one row of this process, as JSON")
    arguments = parser.parse_args()
    rows = [tuple(map(int, row.split(","))) for row in arguments.rows or ()] or ROWS
    if arguments.stage:
        print(json.dumps(measured(arguments.recipe, arguments.device, *rows[0], arguments.stage)))
        return
    print(f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}")
    for size, modalities, samples in rows:
        numbers = {}
        for stage in ("training", "inference"):
            command = [sys.executable, __file__, "--recipe", arguments.recipe, "--device", arguments.device]
            command += ["--rows", f"{size},{modalities},{samples}", "--stage", stage]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            numbers[stage] = json.loads(done.stdout.splitlines()[-1])
        t, i = numbers["training"], numbers["inference"]
        print(
            f"| {size} | {modalities} | {samples} | {t['parameters'] / 1e6:.1f} M | {t['first']:.0f} ms | "
            f"{t['ms']:.0f} ms | {t['ms'] * samples / 1000:.1f} s | {i['ms']:.0f} ms | {t['gb']:.1f} GB | "
            f"{i['gb']:.1f} GB |",
            flush=True,
        )


def measured(recipe_name: str, device: str, size: int, modalities: int, samples: int, stage: str) -> dict[str, float]:
    """ms per sample and peak memory of one stage."""
    known = load_recipe(recipe_name).modalities
    extra = [f"modalities.m{i}={{representation='image', source='m{i}'}}" for i in range(len(known), modalities)]
    random = ["teacher.weights=random"] if load_recipe(recipe_name).teacher.name != "efficientnet_lite0" else []
    recipe = load_recipe(recipe_name, [*extra, *random, "precision=auto"])
    teacher = FrozenTeacher(TeacherGraph(recipe.teacher), torch.device(device))
    network = build_network(recipe, teacher.channels, teacher.linear_outputs).to(device)
    bf16 = resolve_precision("auto", device) == "bf16"
    rng = np.random.default_rng(0)

    def part(index: int) -> PreparedSample:
        images = {name: rng.random((3, size, size), np.float32) for name in recipe.modalities}
        return PreparedSample(str(index), "good", images, None, None, (size, size))

    parts = [part(index) for index in range(samples if stage == "training" else BATCH)]
    first = 0.0
    if stage == "training":
        work, first = _training(teacher, network, parts, recipe, device, bf16)
    else:
        work = _inference(teacher, network, parts, device, bf16)
    work()
    ms = float(np.median([_timed(work, device) for _ in range(5)]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 2**30
    parameters = sum(p.numel() for p in network.students.parameters())
    return {"ms": ms, "first": first + ms, "gb": peak, "parameters": parameters}


def _timed(work, device: str, samples: int = BATCH) -> float:
    """ms per sample."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    begin = time.perf_counter()
    work()
    wait()
    return (time.perf_counter() - begin) / samples * 1000


def _training(teacher, network, parts, recipe, device, bf16):
    """A step with the teacher's features at hand, and what it takes per sample and view to get them there."""
    network.train()
    adam = torch.optim.Adam(network.students.parameters(), lr=1e-3, fused=True)
    features = teacher_features(teacher, network, recipe, len(parts))
    views = all_views(section(recipe).training.augment, square=True)

    def fill() -> None:
        for batch in batches(parts, BATCH):
            for view in views:
                features(batch, [view] * len(batch))

    def step() -> None:
        chosen = [parts[index] for index in rng.integers(len(parts), size=BATCH)]
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=bf16):
            output = network.rebuild(features(chosen, [views[index] for index in rng.integers(len(views), size=BATCH)]))
        terms = network_loss(output, section(recipe).training.loss)
        adam.zero_grad()
        torch.stack([term for branch in terms.values() for term in branch.values()]).sum().backward()
        adam.step()

    rng = np.random.default_rng(0)
    features(parts[:BATCH], [UPRIGHT] * BATCH)  # loads libraries
    features.forget()
    return step, _timed(fill, device, len(parts) * len(views))


def _inference(teacher, network, parts, device, bf16):
    images = stacked_images(parts)
    size = next(iter(images.values())).shape[2:]
    context = GraphContext(size, teacher.graph.shapes(size), teacher.linear_outputs)
    graphs = teacher_graphs(teacher.graph, network.modalities, size) + student_graphs(network.eval(), context)
    engine = PyTorchEngine(graphs, torch.device(device), torch.bfloat16 if bf16 else torch.float32)
    return lambda: engine.values(images)


if __name__ == "__main__":
    main()
