"""State -> graphs: the teacher, a mapping to each modality, and the product of distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trd.config import Recipe
from trd.engines.pytorch.exportable import Resampled
from trd.engines.steps import MAP, Step
from trd.evidence.crossmodal_mapping.config import JOINT
from trd.evidence.crossmodal_mapping.engine import restored
from trd.evidence.crossmodal_mapping.mappings import CrossmodalMappings, unit_distances
from trd.evidence.exportable import ExportForm, GraphForm
from trd.evidence.exported_teacher import TEACHER, pyramid_inputs, pyramid_shapes, teacher_form, teacher_steps
from trd.types import State

SCORE = "score"
Grid = tuple[int, int]


class OnOneGrid(nn.Module):
    """Levels -> (B, h, w, C) side by side on the finest one's cells."""

    def __init__(self, grids: Sequence[Grid]) -> None:
        super().__init__()
        self.joined = nn.ModuleList(Resampled(grid, grids[0], align_corners=False) for grid in grids)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return torch.cat([joined(x) for joined, x in zip(self.joined, levels, strict=True)], 1).permute(0, 2, 3, 1)


class MappingGraph(nn.Module):
    """Levels of the other modalities, one after the other -> (B, h, w, C) features predicted of this one."""

    def __init__(self, mapping: nn.Module, grids: Sequence[Grid]) -> None:
        super().__init__()
        self.mapping = mapping
        self.on_one_grid = OnOneGrid(grids)
        self.count = len(grids)

    def forward(self, *levels: Tensor) -> tuple[Tensor, ...]:
        pyramids = [levels[start : start + self.count] for start in range(0, len(levels), self.count)]
        return (self.mapping(torch.cat([self.on_one_grid(pyramid) for pyramid in pyramids], dim=-1)),)


class ProductGraph(nn.Module):
    """Levels of all modalities, then what was predicted of each -> the map at the images' size."""

    def __init__(self, modalities: int, grids: Sequence[Grid], size: Grid) -> None:
        super().__init__()
        self.on_one_grid = OnOneGrid(grids)
        self.sized = Resampled(grids[0], size, align_corners=False)
        self.modalities, self.count = modalities, len(grids)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        first = self.modalities * self.count
        product = torch.ones(())
        for number, predicted in enumerate(values[first:]):
            levels = values[number * self.count : (number + 1) * self.count]
            product = product * unit_distances(predicted, self.on_one_grid(levels)).clamp_min(0).sqrt()
        return (self.sized(product[:, None])[:, 0],)


def mapping_export_form(recipe: Recipe, state: State, size: Grid) -> ExportForm:
    """`Exportable.export_form`."""
    module: CrossmodalMappings = restored(recipe, state).requires_grad_(False)
    names, frozen = module.modalities, module.teacher
    teacher = teacher_form(frozen.teacher, frozen.input_mean, frozen.input_std, size)
    shapes = pyramid_shapes(teacher.module, size)
    grids = [cast(Grid, shape[1:]) for shape in shapes]
    graphs, steps = {TEACHER: teacher}, teacher_steps(names, teacher.outputs)
    predicted: dict[str, str] = {}
    for number, (name, mapping) in enumerate(zip(names, module.mappings, strict=True)):
        others = pyramid_inputs([other for other in names if other != name], range(len(shapes)))
        inputs = dict(zip(others, shapes * (len(names) - 1), strict=True))
        graphs[f"student_{number}"] = GraphForm(MappingGraph(mapping, grids).eval(), inputs, ("features",), "student")
        predicted[f"student_{number}"] = f"student.{name}"
        steps.append(Step(f"student_{number}", others, {"features": f"student.{name}"}))
    levels = pyramid_inputs(names, range(len(shapes)))
    features = (*grids[0], sum(channels for channels, *_ in shapes))
    inputs = {**dict(zip(levels, shapes * len(names), strict=True)), **dict.fromkeys(predicted, features)}
    graphs[SCORE] = GraphForm(ProductGraph(len(names), grids, size).eval(), inputs, ("map",), "score")
    steps.append(Step(SCORE, {**levels, **predicted}, {"map": MAP + JOINT}))
    return ExportForm(graphs, tuple(steps))
