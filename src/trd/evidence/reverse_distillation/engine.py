"""State -> engine: the network with folded, perhaps compiled copies, and the maps made of its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from trd.config import Recipe
from trd.engines.base import Placement
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.onednn import onednn_takes
from trd.engines.pytorch.out_of_memory import PREDICTION_REMEDY, full_memory_said
from trd.engines.pytorch.precision import earlier_auto, prediction_dtype, resolve_device
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.patch_statistics.maps import StatisticsMaps
from trd.evidence.reverse_distillation.config import section, statistics_branch
from trd.evidence.reverse_distillation.maps.scorer import MapScorer, build_scorer
from trd.evidence.reverse_distillation.network.frozen_network import FrozenNetwork
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation, build_network
from trd.evidence.state import fill, tensors_of
from trd.teachers import Teacher
from trd.types import State

STATISTICS = "statistics."  # before the names of their tensors in a state


class BranchMaps(nn.Module):
    """modality -> (B, 3, h, w) images to branch -> (B, h, w) maps: the network's, then those of patch statistics."""

    def __init__(self, network: FrozenNetwork, scorer: MapScorer, statistics: StatisticsMaps | None) -> None:
        super().__init__()
        self.network = network
        self.scorer = scorer
        self.statistics = statistics

    def forward(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        height, width = next(iter(images.values())).shape[2:]
        maps = cast(dict[str, Tensor], self.scorer(self.network(images), (height, width)))
        if self.statistics is not None:
            maps |= {statistics_branch(name): values for name, values in self.statistics(images).items()}
        return maps


def trd_engine(recipe: Recipe, state: State, placement: Placement) -> PyTorchEngine:
    """`Method.engine`. The recipe's precision is that of the training."""
    device = torch.device(resolve_device(placement.device))
    wanted = placement.precision or section(recipe).training.precision
    if placement.version_0_1 and placement.precision is None and wanted == "auto":
        wanted = earlier_auto(device)
    dtype = prediction_dtype(wanted, device)
    network, scorer = restored(recipe, state)
    statistics = restored_statistics(recipe, state)
    with full_memory_said(PREDICTION_REMEDY):
        network.to(device)
        fast = FrozenNetwork(network, device, dtype, placement.compiled)
        maps = BranchMaps(fast, scorer.to(device), statistics and statistics.to(device))
    form = "torch.compile" if placement.compiled else "oneDNN calls" if onednn_takes(device, dtype) else "eager"
    return PyTorchEngine(maps, device, dtype, form)


def state_of(network: TunedReverseDistillation, scorer: MapScorer) -> State:
    """All tensors, the teacher's too, so that a detector needs no other file; on CPUs they share memory."""
    return {**tensors_of(network, "network."), **tensors_of(scorer, "scorer.")}


def restored(recipe: Recipe, state: State) -> tuple[TunedReverseDistillation, MapScorer]:
    """Network and scorer of a state, on the CPU. Raises CheckpointError where the state does not fit the recipe."""
    with WithoutInitialisation():  # every tensor is in the state, or `fill` complains
        network = build_network(recipe, load_teacher=False)
    scorer = build_scorer(recipe, cast(Teacher, network.teacher).channels)
    fill(network, state, "network.")
    fill(scorer, state, "scorer.")
    return network.eval(), scorer.eval()


def restored_statistics(recipe: Recipe, state: State) -> StatisticsMaps | None:
    """Patch statistics of a state, on the CPU; None where the recipe has none. Raises CheckpointError as `restored`."""
    components = section(recipe).statistics.components
    if not components:
        return None
    statistics = StatisticsMaps(recipe, components)
    fill(statistics, state, STATISTICS)
    return statistics.eval()
