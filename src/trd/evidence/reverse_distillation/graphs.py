"""Network and distances as graphs: a scaler for each modality, then a student and a score for each branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from trd.config import REVERSE_DISTILLATION
from trd.engines.graphs import MAP, GraphForm, Graphs, Shape, Step
from trd.engines.pytorch.resampling import Grid, ResampledSum
from trd.evidence.base import GraphContext
from trd.evidence.reverse_distillation.maps.cosine import CosineDistance
from trd.evidence.reverse_distillation.maps.residuals import ResidualDistance
from trd.evidence.reverse_distillation.network.network import FeatureScaler, TunedReverseDistillation, side_by_side
from trd.teachers.frozen import level_value, pyramid_inputs
from trd.teachers.pyramid import Pyramid


class StudentGraph(nn.Module):
    """Levels of the branch's own modalities, then of the others', one modality after the other -> rebuilt levels."""

    def __init__(self, student: nn.Module, levels: int, modality_count: int) -> None:
        super().__init__()
        self.student, self.levels, self.own_map_count = student, levels, modality_count * levels

    def forward(self, *values: Tensor) -> Pyramid:
        own_maps, other_maps = values[: self.own_map_count], values[self.own_map_count :]
        other_pyramid = side_by_side(pyramids(other_maps, self.levels)) if other_maps else None
        fused: Pyramid = self.student(side_by_side(pyramids(own_maps, self.levels)), other_pyramid).fused
        return fused


class ScoreGraph(nn.Module):
    """Levels of the branch's own modalities, then the student's -> the branch's map, summed over levels (paper, section
    3.4) with `weights`."""

    def __init__(
        self, distances: Sequence[nn.Module], grids: Sequence[Grid], size: Grid, weights: Sequence[float]
    ) -> None:
        super().__init__()
        self.distances = nn.ModuleList(distances)
        self.summed = ResampledSum(grids, size, weights)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        count = len(self.distances)
        teacher, student = side_by_side(pyramids(values[:-count], count)), values[-count:]
        maps = [distance(s, t) for distance, s, t in zip(self.distances, student, teacher, strict=True)]
        return (self.summed(maps),)


class ScalerGraph(nn.Module):
    """A modality's levels -> the same, standardised."""

    def __init__(self, scaler: FeatureScaler) -> None:
        super().__init__()
        self.scaler = scaler

    def forward(self, *levels: Tensor) -> Pyramid:
        scaled: Pyramid = self.scaler(levels)
        return scaled


def pyramids(levels: Sequence[Tensor], count: int) -> list[Pyramid]:
    """Of one modality after the other."""
    return [tuple(levels[start : start + count]) for start in range(0, len(levels), count)]


def student_graphs(network: TunedReverseDistillation, context: GraphContext) -> Graphs:
    """Scalers and students."""
    graphs, steps = dict[str, GraphForm](), list[Step]()
    count = len(context.levels)
    outputs = tuple(f"level_{level}" for level in range(count))
    for number, name in enumerate(network.modalities):
        if name not in network.scalers:
            continue
        graph = f"{REVERSE_DISTILLATION}_scaler_{number}"
        scaler = ScalerGraph(cast(FeatureScaler, network.scalers[name])).eval()
        inputs = pyramid_inputs([name], range(count))
        graphs[graph] = GraphForm(scaler, dict(zip(inputs, context.levels, strict=True)), outputs, "scaler")
        steps.append(Step(graph, inputs, {port: scaled_value(network, name, i) for i, port in enumerate(outputs)}))
    for number, branch in enumerate(network.branches):
        student = network.students[branch]
        own_names = own_modalities(network, branch)
        others = (
            [n for n in network.modalities if n not in own_names] if getattr(student, "reads_others", False) else []
        )
        inputs, shapes = _levels(network, [*own_names, *others], context.levels)
        graph = f"{REVERSE_DISTILLATION}_student_{number}"
        module = StudentGraph(student, count, len(own_names)).eval()
        graphs[graph] = GraphForm(module, shapes, outputs, "student")
        steps.append(Step(graph, inputs, {port: student_value(branch, i) for i, port in enumerate(outputs)}))
    return Graphs(graphs, tuple(steps))


def score_graphs(
    network: TunedReverseDistillation, distances: nn.ModuleDict, weights: Sequence[float], context: GraphContext
) -> Graphs:
    """weights: of the levels, fine to coarse."""
    graphs, steps = dict[str, GraphForm](), list[Step]()
    grids = [cast(Grid, shape[1:]) for shape in context.levels]
    for number, branch in enumerate(network.branches):
        own_names = own_modalities(network, branch)
        inputs, shapes = _levels(network, own_names, context.levels)
        rebuilt = {f"student_{level}": student_value(branch, level) for level in range(len(grids))}
        shapes |= zip(rebuilt, [(len(own_names) * channels, *grid) for channels, *grid in context.levels], strict=True)
        level_distances: list[nn.Module] = [CosineDistance() for _ in grids]
        if branch in distances:
            level_distances = list(cast(ResidualDistance, distances[branch]).levels)
        graph = f"{REVERSE_DISTILLATION}_score_{number}"
        module = ScoreGraph(level_distances, grids, context.size, weights).eval()
        graphs[graph] = GraphForm(module, shapes, ("map",), "score")
        steps.append(Step(graph, {**inputs, **rebuilt}, {"map": MAP + branch}))
    return Graphs(graphs, tuple(steps))


def own_modalities(network: TunedReverseDistillation, branch: str) -> tuple[str, ...]:
    """Whose pyramids a branch rebuilds."""
    return (branch,) if branch in network.modalities else network.modalities


def scaled_value(network: TunedReverseDistillation, modality: str, level: int) -> str:
    """Name of the value that students read: the teacher's level, standardised where the recipe says so."""
    if modality in network.scalers:
        return f"{REVERSE_DISTILLATION}.scaled.{modality}.{level}"
    return level_value(modality, level)


def student_value(branch: str, level: int) -> str:
    return f"{REVERSE_DISTILLATION}.student.{branch}.{level}"


def _levels(
    network: TunedReverseDistillation, modalities: Sequence[str], levels: Sequence[Shape]
) -> tuple[dict[str, str], dict[str, Shape]]:
    """A graph's inputs for these modalities' levels: name of the value, and shape, by its own name."""
    names = {
        f"teacher_{number}_{level}": scaled_value(network, name, level)
        for number, name in enumerate(modalities)
        for level in range(len(levels))
    }
    return names, dict(zip(names, list(levels) * len(modalities), strict=True))
