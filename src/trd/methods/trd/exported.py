"""State -> graphs: the teacher, a student for each branch, and everything that makes maps of what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trd.compute.exportable import ResampledSum, exportable
from trd.config import Recipe
from trd.engines.steps import IMAGE, MAP, Step
from trd.methods.exportable import ExportForm, GraphForm, Observations
from trd.methods.exported_teacher import (
    TEACHER,
    level_value,
    pyramid_inputs,
    pyramid_shapes,
    teacher_form,
    teacher_steps,
)
from trd.methods.trd.config import context_floor, statistics_branch
from trd.methods.trd.engine import restored, restored_statistics, state_of
from trd.methods.trd.maps.exported import ExportedCosine, ExportedLevel
from trd.methods.trd.maps.residuals import LevelDistance, ResidualDistance, fit_residual_distances
from trd.methods.trd.maps.scorer import MapScorer
from trd.methods.trd.network.network import TunedReverseDistillation
from trd.methods.trd.network.outputs import NetworkOutput, StudentOutput
from trd.statistics.maps import StatisticsMaps
from trd.teachers.pyramid import Pyramid
from trd.types import State

SCORE = "score"


class ScaledPyramids(nn.Module):
    """Levels of all modalities, one modality after the other -> the pyramids of the branches, standardised."""

    def __init__(self, network: TunedReverseDistillation, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.scalers = network.scalers
        self._network = (network,)  # in a tuple: its weights are not this module's

    def forward(self, levels: Sequence[Tensor]) -> dict[str, Pyramid]:
        (network,) = self._network
        pyramids = {
            name: tuple(levels[number * self.levels : (number + 1) * self.levels])
            for number, name in enumerate(network.modalities)
        }
        scaled = {n: cast(Pyramid, self.scalers[n](p)) if n in self.scalers else p for n, p in pyramids.items()}
        return network.branch_pyramids(scaled)


class StudentGraph(nn.Module):
    """The teachers' levels -> one branch's rebuilt levels, which the maps compare with them."""

    def __init__(self, network: TunedReverseDistillation, branch: str, levels: int) -> None:
        super().__init__()
        self.scaled = ScaledPyramids(network, levels)
        self.student = exportable(network.students[branch])
        self.branch = branch
        self._network = (network,)

    def forward(self, *levels: Tensor) -> Pyramid:
        (network,) = self._network
        teachers = self.scaled(levels)
        fused: Pyramid = self.student(teachers[self.branch], network.other_pyramids(teachers, self.branch)).fused
        return fused


class ScoreGraph(nn.Module):
    """The teachers' levels, then every branch's, then the images where there are statistics -> every branch's map."""

    def __init__(
        self,
        network: TunedReverseDistillation,
        scorer: MapScorer,
        statistics: StatisticsMaps | None,
        shapes: Sequence[tuple[int, ...]],
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.scaled = ScaledPyramids(network, len(shapes))
        self.statistics = statistics
        self.branches, self.modalities = network.branches, network.modalities
        grids = [cast(tuple[int, int], shape[1:]) for shape in shapes]
        self.sized = ResampledSum(grids, size)
        self.distances = nn.ModuleList(
            nn.ModuleList(_levels(scorer, branch, len(shapes))) for branch in network.branches
        )

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        count = self.scaled.levels
        first = count * len(self.modalities)
        teachers = self.scaled(values[:first])
        maps = []
        for number, (branch, distances) in enumerate(zip(self.branches, self.distances, strict=True)):
            student = values[first + number * count : first + (number + 1) * count]
            levels = zip(cast(nn.ModuleList, distances), student, teachers[branch], strict=True)
            maps.append(self.sized([distance(s, t) for distance, s, t in levels]))
        if self.statistics is not None:
            images = values[first + count * len(self.branches) :]
            maps += self.statistics(dict(zip(self.modalities, images, strict=True))).values()
        return tuple(maps)


def _levels(scorer: MapScorer, branch: str, count: int) -> list[nn.Module]:
    if branch not in scorer.distances:
        return [ExportedCosine() for _ in range(count)]
    distance = cast(ResidualDistance, scorer.distances[branch])
    return [ExportedLevel(cast(LevelDistance, level)) for level in distance.levels]


def trd_export_form(recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
    """`Exportable.export_form`."""
    network, scorer = restored(recipe, state)
    statistics = restored_statistics(recipe, state)
    teacher = teacher_form(network.teacher, network.input_mean, network.input_std, size)
    shapes = pyramid_shapes(teacher.module, size)
    levels = pyramid_inputs(network.modalities, range(len(shapes)))
    level_shapes = dict(zip(levels, shapes * len(network.modalities), strict=True))
    graphs, steps = {TEACHER: teacher}, teacher_steps(network.modalities, teacher.outputs)

    rebuilt: dict[str, str] = {}
    rebuilt_shapes: dict[str, tuple[int, ...]] = {}
    widening = 1 if network.branches == network.modalities else len(network.modalities)
    for number, branch in enumerate(network.branches):
        graph = StudentGraph(network, branch, len(shapes)).eval()
        outputs = tuple(f"level_{level}" for level in range(len(shapes)))
        graphs[f"student_{number}"] = GraphForm(graph, level_shapes, outputs, "student")
        values = {output: student_value(branch, level) for level, output in enumerate(outputs)}
        steps.append(Step(f"student_{number}", levels, values))
        for level, (channels, *grid) in enumerate(shapes):
            rebuilt[f"student_{number}_{level}"] = student_value(branch, level)
            rebuilt_shapes[f"student_{number}_{level}"] = (widening * channels, *grid)

    images = {f"image_{i}": IMAGE + name for i, name in enumerate(network.modalities)} if statistics else {}
    branches = [*network.branches, *(statistics_branch(name) for name in network.modalities if statistics)]
    score = ScoreGraph(network, scorer, statistics, shapes, size).eval()
    outputs = tuple(f"map_{number}" for number in range(len(branches)))
    inputs = {**level_shapes, **rebuilt_shapes, **dict.fromkeys(images, (3, *size))}
    graphs[SCORE] = GraphForm(score, inputs, outputs, "score")
    maps = {output: MAP + branch for output, branch in zip(outputs, branches, strict=True)}
    steps.append(Step(SCORE, {**levels, **rebuilt, **images}, maps))
    return ExportForm(graphs, tuple(steps))


def student_value(branch: str, level: int) -> str:
    return f"student.{branch}.{level}"


def trd_refitted(recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations) -> State:
    """`Exportable.refitted`: the residual distances, on what the students give in the runtime's precision."""
    network, scorer = restored(recipe, state)
    if not len(scorer.distances):
        return state

    def outputs(observations: Observations) -> Iterator[tuple[NetworkOutput, Tensor | None]]:
        for values, inside in observations():
            yield _output(network, values), None if inside is None else torch.from_numpy(inside)[None]

    with torch.no_grad():
        fit_residual_distances(
            scorer.distances,
            lambda: outputs(training),
            lambda: outputs(held_out),
            context_floor(recipe, region),
        )
    return {**state, **state_of(network, scorer)}


def _output(network: TunedReverseDistillation, values: Mapping[str, NDArray[np.float32]]) -> NetworkOutput:
    def pyramid(names: Iterator[str]) -> Pyramid:
        return tuple(torch.from_numpy(values[name]) for name in names)

    count = sum(name.startswith(level_value(network.modalities[0], 0)[:-1]) for name in values)
    raw = {n: pyramid(level_value(n, level) for level in range(count)) for n in network.modalities}
    teachers = network.branch_pyramids(network.scaled(raw))
    students = {
        name: StudentOutput(None, None, fused, fused)
        for name in network.branches
        for fused in [pyramid(student_value(name, level) for level in range(count))]
    }
    return NetworkOutput(teachers, students)
