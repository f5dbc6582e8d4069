"""State -> graphs: the teacher, a student for each branch, and everything that makes maps of what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trd.config import Recipe
from trd.engines.pytorch.exportable import ResampledSum, exportable
from trd.engines.steps import MAP, Step
from trd.evidence.exportable import ExportForm, GraphForm, Observations
from trd.evidence.exported_statistics import statistics_form
from trd.evidence.exported_teacher import (
    TEACHER,
    level_value,
    pyramid_inputs,
    pyramid_shapes,
    teacher_form,
    teacher_steps,
)
from trd.evidence.reverse_distillation.config import context_floor, statistics_branch
from trd.evidence.reverse_distillation.engine import restored, restored_statistics, state_of
from trd.evidence.reverse_distillation.maps.exported import ExportedCosine, ExportedLevel
from trd.evidence.reverse_distillation.maps.residuals import LevelDistance, ResidualDistance, fit_residual_distances
from trd.evidence.reverse_distillation.maps.scorer import MapScorer
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput, StudentOutput
from trd.teachers.pyramid import Pyramid
from trd.types import State


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
    """The teachers' levels, then a branch's -> its map."""

    def __init__(
        self,
        network: TunedReverseDistillation,
        scorer: MapScorer,
        branch: str,
        shapes: Sequence[tuple[int, ...]],
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.scaled = ScaledPyramids(network, len(shapes))
        self.branch, self.teachers = branch, len(shapes) * len(network.modalities)
        self.sized = ResampledSum([cast(tuple[int, int], shape[1:]) for shape in shapes], size)
        self.distances = nn.ModuleList(_levels(scorer, branch, len(shapes)))

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        teacher = self.scaled(values[: self.teachers])[self.branch]
        levels = zip(self.distances, values[self.teachers :], teacher, strict=True)
        return (self.sized([distance(student, level) for distance, student, level in levels]),)


def _levels(scorer: MapScorer, branch: str, count: int) -> list[nn.Module]:
    if branch not in scorer.distances:
        return [ExportedCosine() for _ in range(count)]
    distance = cast(ResidualDistance, scorer.distances[branch])
    return [ExportedLevel(cast(LevelDistance, level)) for level in distance.levels]


def trd_export_form(recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
    """`Exportable.export_form`."""
    network, scorer = restored(recipe, state)
    teacher = teacher_form(network.teacher, network.input_mean, network.input_std, size)
    shapes = pyramid_shapes(teacher.module, size)
    levels = pyramid_inputs(network.modalities, range(len(shapes)))
    level_shapes = dict(zip(levels, shapes * len(network.modalities), strict=True))
    graphs, steps = {TEACHER: teacher}, teacher_steps(network.modalities, teacher.outputs)

    widening = 1 if network.branches == network.modalities else len(network.modalities)
    scores = []
    for number, branch in enumerate(network.branches):
        rebuilt = tuple(f"level_{level}" for level in range(len(shapes)))
        values = {output: student_value(branch, level) for level, output in enumerate(rebuilt)}
        student = StudentGraph(network, branch, len(shapes)).eval()
        graphs[f"student_{number}"] = GraphForm(student, level_shapes, rebuilt, "student")
        steps.append(Step(f"student_{number}", levels, values))

        taken = {f"student_{output}": value for output, value in values.items()}
        wide = [(widening * channels, *grid) for channels, *grid in shapes]
        inputs = {**level_shapes, **dict(zip(taken, wide, strict=True))}
        score = ScoreGraph(network, scorer, branch, shapes, size).eval()
        graphs[f"score_{number}"] = GraphForm(score, inputs, ("map",), "score")
        scores.append(Step(f"score_{number}", {**levels, **taken}, {"map": MAP + branch}))
    statistics = restored_statistics(recipe, state)
    others = statistics_form(statistics, statistics_branch, size) if statistics else ExportForm({}, ())
    return ExportForm({**graphs, **others.graphs}, (*steps, *scores, *others.steps))


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
