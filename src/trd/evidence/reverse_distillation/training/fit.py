"""Good parts -> the state of a fitted network: students trained, distances fitted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor

from trd.engines.pytorch.out_of_memory import TRAINING_REMEDY, full_memory_said
from trd.engines.pytorch.precision import prediction_dtype, resolve_device
from trd.evidence.base import FitJob
from trd.evidence.patch_statistics.maps import fit_statistics
from trd.evidence.repeatable import repeatable
from trd.evidence.reverse_distillation.config import context_floor, section
from trd.evidence.reverse_distillation.engine import STATISTICS, state_of
from trd.evidence.reverse_distillation.maps.residuals import fit_residual_distances
from trd.evidence.reverse_distillation.maps.scorer import MapScorer, build_scorer
from trd.evidence.reverse_distillation.network.frozen_network import FrozenNetwork
from trd.evidence.reverse_distillation.network.network import FeatureScaler, TunedReverseDistillation, build_network
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput
from trd.evidence.reverse_distillation.training.trainer import train_network
from trd.evidence.state import tensors_of
from trd.preprocess.parts import PreparedParts, batches, stacked_images
from trd.teachers import Teacher
from trd.types import PreparedSample, State

SCORING_BATCH = 8


def fit_students(job: FitJob) -> State:
    """`Method.fit`."""
    recipe, config, where = job.recipe, section(job.recipe), resolve_device(job.device)
    with full_memory_said(TRAINING_REMEDY), repeatable(recipe.seed, config.training.deterministic):
        network = build_network(recipe).to(where)
        if config.teacher.standardize:
            fit_feature_scalers(network, job.training, torch.device(where))
        train_network(network, job.training, recipe, job.folder, where, job.console, job.title)
        state = dict(state_of(network, fitted_scorer(network, job, where)))
        if config.statistics.components:
            maps = fit_statistics(recipe, config.statistics.components, job.training, torch.device(where))
            state |= tensors_of(maps, STATISTICS)
        return state


def fitted_scorer(network: TunedReverseDistillation, job: FitJob, where: str) -> MapScorer:
    """Distances fitted on the training parts, their levels' scales on the held-out ones; nothing for the cosine."""
    recipe, config, device = job.recipe, section(job.recipe), torch.device(where)
    scorer = build_scorer(recipe, cast(Teacher, network.teacher).channels).to(device)
    if not len(scorer.distances):
        return scorer
    frozen = FrozenNetwork(network, device, prediction_dtype(config.training.precision, device))

    @torch.inference_mode()
    def observations(parts: PreparedParts) -> Iterator[tuple[NetworkOutput, Tensor | None]]:
        for batch in batches(parts, SCORING_BATCH):
            yield frozen(image_tensors(batch, device)), region_tensor(batch, device)

    with torch.no_grad():
        fit_residual_distances(
            scorer.distances,
            lambda: observations(job.training),
            lambda: observations(job.held_out or job.training),
            context_floor(recipe, job.region),
        )
    return scorer


def image_tensors(parts: list[PreparedSample], device: torch.device) -> dict[str, Tensor]:
    """modality -> (B, 3, h, w) float32 in [0, 1]."""
    return {name: torch.from_numpy(stack).to(device) for name, stack in stacked_images(parts).items()}


def region_tensor(parts: list[PreparedSample], device: torch.device) -> Tensor | None:
    """(B, h, w) bool of scored pixels, None where every part is scored whole."""
    if all(part.region is None for part in parts):
        return None
    whole = torch.ones(next(iter(parts[0].images.values())).shape[1:], dtype=torch.bool)
    return torch.stack([whole if p.region is None else torch.from_numpy(p.region) for p in parts]).to(device)


@torch.no_grad()
def fit_feature_scalers(
    network: TunedReverseDistillation, training: Iterable[PreparedSample], device: torch.device
) -> None:
    """Set every scaler to the mean and deviation of the teacher's channels over the training samples.

    device: where `network` is.
    """
    scalers = {name: cast(FeatureScaler, network.scalers[name]) for name in network.modalities}
    network.scalers = torch.nn.ModuleDict()  # raw features while measuring
    sums: dict[tuple[str, int], list[Tensor]] = {}
    for batch in batches(training, SCORING_BATCH):
        images = image_tensors(batch, device)
        for name, pyramid in network.teacher_pyramids(images).items():
            for level, features in enumerate(pyramid):
                values = features.double().transpose(0, 1).flatten(1)
                moments = torch.stack(
                    [torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)]
                )
                sums.setdefault((name, level), []).append(moments)
    for (name, level), parts in sums.items():
        count, total, squares = torch.stack(parts).sum(dim=0)
        mean = total / count
        scalers[name].set_level(level, mean.float(), (squares / count - mean.square()).clamp_min(0).sqrt().float())
    network.scalers = torch.nn.ModuleDict(scalers)
