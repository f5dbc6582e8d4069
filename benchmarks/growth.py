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
from trd.model.network import FrozenNetwork, build_network
from trd.model.precision import resolve_precision
from trd.preprocess.dataset import PreparedDataset, collate
from trd.training.loss import network_loss
from trd.types import PreparedSample

BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="lite-rgb")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--row", help="internal: one row, as JSON")
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(row(arguments.recipe, arguments.device, **json.loads(arguments.row))))
        return
    print("| size | modalities | samples | parameters | step | epoch | inference | peak training | peak inference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    rows = [(size, modalities, 50) for size in (256, 384, 512) for modalities in (1, 2, 3, 4)]
    rows += [(256, 2, samples) for samples in (200, 1000)]
    for size, modalities, samples in rows:
        cell = {"size": size, "modalities": modalities, "samples": samples}
        numbers = {}
        for stage in ("training", "inference"):
            command = [sys.executable, __file__, "--recipe", arguments.recipe, "--device", arguments.device]
            done = subprocess.run(
                [*command, "--row", json.dumps({**cell, "stage": stage})], capture_output=True, text=True, check=True
            )
            numbers[stage] = json.loads(done.stdout.splitlines()[-1])
        t, i = numbers["training"], numbers["inference"]
        print(
            f"| {size} | {modalities} | {samples} | {t['parameters'] / 1e6:.1f} M | {t['ms']:.0f} ms | "
            f"{t['ms'] * samples / 1000:.1f} s | {i['ms']:.0f} ms | {t['gb']:.1f} GB | {i['gb']:.1f} GB |",
            flush=True,
        )


def row(recipe_name: str, device: str, size: int, modalities: int, samples: int, stage: str) -> dict[str, float]:
    """ms per sample and peak memory of one stage."""
    extra = [f"modalities.m{i}={{representation='image', source='m{i}'}}" for i in range(1, modalities)]
    random = ["teacher.weights=random"] if load_recipe(recipe_name).teacher.name != "efficientnet_lite0" else []
    recipe = load_recipe(recipe_name, [*extra, *random])
    network = build_network(recipe).to(device)
    bf16 = resolve_precision("auto", device) == "bf16-mixed"
    rng = np.random.default_rng(0)

    def part(index: int) -> PreparedSample:
        images = {name: rng.random((3, size, size), np.float32) for name in recipe.modalities}
        return PreparedSample(str(index), "good", images, None, None, (size, size))

    dataset = PreparedDataset(samples, part)
    for index in range(samples):
        dataset[index]
    work = (
        _training(network, dataset, recipe, device, bf16)
        if stage == "training"
        else _inference(network, dataset, device, bf16)
    )
    work()
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) / BATCH * 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated() / 2**30
    return {
        "ms": float(np.median(times)), "gb": peak, "parameters": sum(p.numel() for p in network.students.parameters())
    }  # fmt: skip


def _images(dataset, device):
    return {name: stack.to(device) for name, stack in collate([dataset[i] for i in range(BATCH)]).images.items()}


def _training(network, dataset, recipe, device, bf16):
    network.train()
    adam = torch.optim.Adam(network.students.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            output = network(_images(dataset, device))
        terms = network_loss(output, recipe.training.loss)
        adam.zero_grad()
        torch.stack([term for branch in terms.values() for term in branch.values()]).sum().backward()
        adam.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return step


def _inference(network, dataset, device, bf16):
    frozen = FrozenNetwork(network.eval(), torch.device(device), torch.bfloat16 if bf16 else torch.float32)

    @torch.inference_mode()
    def predict() -> None:
        frozen(_images(dataset, device))
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return predict


if __name__ == "__main__":
    main()
