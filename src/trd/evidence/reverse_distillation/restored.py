"""A recipe's numbers -> network and distances; their tensors as a state, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import nn

from trd.config import REVERSE_DISTILLATION, Recipe, ReverseDistillationConfig
from trd.errors import RecipeError
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.reverse_distillation.maps.residuals import ResidualDistance
from trd.evidence.reverse_distillation.network.network import FeatureScaler, TunedReverseDistillation
from trd.evidence.reverse_distillation.network.student import Student
from trd.evidence.state import fill, tensors_of
from trd.types import State

NETWORK, DISTANCES = "network.", "distances."
BUSY = ("training",)  # what an instance of ModuleDict has beside its class's names


def section(recipe: Recipe) -> ReverseDistillationConfig:
    return cast(ReverseDistillationConfig, recipe.evidence[REVERSE_DISTILLATION])


def build_network(
    recipe: Recipe, channels: Sequence[int], linear: bool, students: Mapping[str, Student] | None = None
) -> TunedReverseDistillation:
    """The one place where a recipe's numbers become a network.

    channels, linear: of the teacher's pyramid; `linear` where its values take both signs. students: branch -> one that
    is there already, of the recipe's size. Raises RecipeError for modalities whose names PyTorch keeps for itself.
    """
    config, modalities = section(recipe), tuple(recipe.modalities)
    names = config.branches(modalities)
    reserved = [name for name in (*modalities, *names) if hasattr(nn.ModuleDict, name) or name in BUSY]
    if reserved:
        raise RecipeError(
            f"recipe '{recipe.name}': a modality cannot be called '{reserved[0]}', PyTorch uses that name"
        )
    students = students or {
        name: Student(
            config.branch_channels(modalities, channels),
            others=len(names) - 1,
            use_filter=config.student.filter,
            use_amplifier=config.student.amplifier,
            blocks=config.student.blocks,
            linear=linear or config.standardize,
            widths=None if config.student.widths == "teacher" else config.student.widths,
        )
        for name in names
    }
    scalers = {name: FeatureScaler(channels) for name in modalities} if config.standardize else None
    return TunedReverseDistillation(dict(students), modalities, scalers)


def build_distances(recipe: Recipe, channels: Sequence[int]) -> nn.ModuleDict:
    """branch -> residual distance, not fitted; empty for the paper's cosine, which has nothing to fit."""
    config, modalities = section(recipe), tuple(recipe.modalities)
    if config.distance == "cosine":
        return nn.ModuleDict()
    widths = config.branch_channels(modalities, channels)
    return nn.ModuleDict({name: ResidualDistance(widths, config.pool) for name in config.branches(modalities)})


def state_of(network: TunedReverseDistillation, distances: nn.ModuleDict) -> State:
    """On CPUs the tensors share memory with the modules."""
    return {**tensors_of(network, NETWORK), **tensors_of(distances, DISTANCES)}


def restored(
    recipe: Recipe, state: State, channels: Sequence[int], linear: bool
) -> tuple[TunedReverseDistillation, nn.ModuleDict]:
    """Network and distances of a state, on the CPU. Raises CheckpointError where the state does not fit the recipe."""
    with WithoutInitialisation():  # every tensor is in the state, or `fill` complains
        network = build_network(recipe, channels, linear)
    distances = build_distances(recipe, channels)
    fill(network, state, NETWORK)
    fill(distances, state, DISTANCES)
    return network.eval(), distances.eval()
