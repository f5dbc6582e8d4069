"""Good parts -> the state of a fitted network: students trained, distances fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from trd.config import Recipe
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.precision import prediction_dtype
from trd.evidence.base import FitJob, GraphContext, Observations
from trd.evidence.repeatable import deterministic
from trd.evidence.reverse_distillation.graphs import scaled_value, student_graphs, student_value
from trd.evidence.reverse_distillation.maps.residuals import fit_residual_distances
from trd.evidence.reverse_distillation.network.network import FeatureScaler, TunedReverseDistillation
from trd.evidence.reverse_distillation.restored import (
    NETWORK,
    build_distances,
    build_network,
    restored,
    section,
    state_of,
)
from trd.evidence.reverse_distillation.training.trainer import train_network
from trd.evidence.state import tensors_of
from trd.preprocess.parts import PreparedParts, batches, stacked_images
from trd.teachers.frozen import FrozenTeacher, teacher_graphs
from trd.teachers.pyramid import Pyramid
from trd.types import PreparedSample, State

SCORING_BATCH = 8


def fit_students(job: FitJob, teacher: FrozenTeacher) -> State:
    """`Trained.fit`."""
    recipe, config = job.recipe, section(job.recipe)
    with deterministic(config.training.deterministic, config.training.compile):
        network = build_network(recipe, teacher.channels, teacher.linear_outputs).to(teacher.device)
        if config.standardize:
            fit_feature_scalers(network, teacher, job.training)
        train_network(network, teacher, job.training, recipe, job.folder, job.console, job.title)
        return {**tensors_of(network, NETWORK), **fitted_distances(network, teacher, job)}


def fitted_distances(network: TunedReverseDistillation, teacher: FrozenTeacher, job: FitJob) -> State:
    """Distances fitted on the training parts, their levels' scales on the held-out ones; nothing for the cosine."""
    recipe = job.recipe
    distances = build_distances(recipe, teacher.channels).to(teacher.device)
    if len(distances):
        context = GraphContext(job.size, teacher.graph.shapes(job.size), teacher.linear_outputs)
        graphs = teacher_graphs(teacher.graph, network.modalities, job.size) + student_graphs(network.eval(), context)
        engine = PyTorchEngine(graphs, teacher.device, prediction_dtype(recipe.precision, teacher.device))

        def observed(parts: PreparedParts) -> Iterator[tuple[Mapping[str, Tensor], Tensor | None]]:
            for batch in batches(parts, SCORING_BATCH):
                yield engine.values(stacked_images(batch)), region_tensor(batch)

        training, held_out = partial(observed, job.training), partial(observed, job.held_out or job.training)
        fit_distances(recipe, network, distances, job.region, training, held_out)
    return {name: value for name, value in state_of(network, distances).items() if not name.startswith(NETWORK)}


def refitted_distances(
    recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
) -> State:
    """`Evidence.refitted`: the residual distances, on what the students give in the runtime's precision."""
    if section(recipe).distance == "cosine":
        return state
    first = next(iter(training()))[0]
    name, count = next(iter(recipe.modalities)), level_count(first)
    channels = [int(first[f"teacher.{name}.{level}"].shape[1]) for level in range(count)]
    network, distances = restored(recipe, state, channels, linear=True)
    fit_distances(recipe, network, distances, region, training, held_out)
    return state_of(network, distances)


@torch.no_grad()
def fit_distances(
    recipe: Recipe,
    network: TunedReverseDistillation,
    distances: nn.ModuleDict,
    region: str,
    training: Observations,
    held_out: Observations,
) -> None:
    def rebuilt(
        observations: Observations,
    ) -> Iterator[tuple[Mapping[str, Pyramid], Mapping[str, Pyramid], Tensor | None]]:
        for values, scored in observations():
            levels = range(level_count(values))
            scaled = {
                name: tuple(values[scaled_value(network, name, level)].float() for level in levels)
                for name in network.modalities
            }
            students = {
                name: tuple(values[student_value(name, level)] for level in levels) for name in network.branches
            }
            yield students, network.branch_pyramids(scaled), scored

    floor = section(recipe).context_floor_of(region)
    fit_residual_distances(distances, partial(rebuilt, training), partial(rebuilt, held_out), floor)


def level_count(values: Iterable[str]) -> int:
    """Levels of a pyramid, by the names of the teacher's values."""
    return 1 + max(int(name.rpartition(".")[2]) for name in values if name.startswith("teacher."))


def region_tensor(parts: list[PreparedSample]) -> Tensor | None:
    """(B, h, w) bool of scored pixels, None where every part is scored whole."""
    if all(part.region is None for part in parts):
        return None
    full_region = torch.ones(next(iter(parts[0].images.values())).shape[1:], dtype=torch.bool)
    return torch.stack([full_region if p.region is None else torch.from_numpy(p.region) for p in parts])


@torch.no_grad()
def fit_feature_scalers(
    network: TunedReverseDistillation, teacher: FrozenTeacher, training: Iterable[PreparedSample]
) -> None:
    """Set every scaler to the mean and deviation of the teacher's channels over the training samples."""
    sums: dict[tuple[str, int], list[Tensor]] = {}
    for batch in batches(training, SCORING_BATCH):
        images = {name: torch.from_numpy(stack).to(teacher.device) for name, stack in stacked_images(batch).items()}
        for name, pyramid in teacher.pyramids(images).items():
            for level, features in enumerate(pyramid):
                values = features.double().transpose(0, 1).flatten(1)
                moments = torch.stack(
                    [torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)]
                )
                sums.setdefault((name, level), []).append(moments)
    for (name, level), parts in sums.items():
        count, total, squares = torch.stack(parts).sum(dim=0)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(0).sqrt()
        cast(FeatureScaler, network.scalers[name]).set_level(level, mean.float(), deviation.float())
