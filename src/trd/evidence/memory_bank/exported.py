"""State -> graphs: the teacher, and the search of all banks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import Recipe
from trd.engines.pytorch.exportable import Resampled
from trd.engines.steps import MAP, Step
from trd.evidence.exportable import ExportForm, GraphForm
from trd.evidence.exported_teacher import TEACHER, pyramid_inputs, pyramid_shapes, teacher_form, teacher_steps
from trd.evidence.memory_bank.banks import Bank, MemoryBanks, bank_name
from trd.evidence.memory_bank.engine import restored
from trd.types import State

SCORE = "score"


class BanksGraph(nn.Module):
    """The chosen levels, one modality after the other -> distances from each modality's bank, at the images' size."""

    def __init__(
        self, module: MemoryBanks, modalities: Sequence[str], grids: Sequence[tuple[int, int]], size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.banks = nn.ModuleList(cast(Bank, module.banks[bank_name(name)]) for name in modalities)
        self.patch = module.patch
        self.joined = nn.ModuleList(Resampled(grid, grids[0], align_corners=False) for grid in grids)
        self.sized = Resampled(grids[0], size, align_corners=False)

    def forward(self, *levels: Tensor) -> tuple[Tensor, ...]:
        maps, count = [], len(self.joined)
        for number, bank in enumerate(self.banks):
            chosen = levels[number * count : (number + 1) * count]
            means = [F.avg_pool2d(x, self.patch, 1, self.patch // 2, count_include_pad=False) for x in chosen]
            cells = torch.cat([joined(mean) for joined, mean in zip(self.joined, means, strict=True)], dim=1)
            maps.append(self.sized(bank(cells, torch.float32)[:, None])[:, 0])
        return tuple(maps)


def bank_export_form(recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
    """`Exportable.export_form`."""
    module, names = restored(recipe, state), tuple(recipe.modalities)
    frozen = module.teacher
    teacher = teacher_form(frozen.teacher, frozen.input_mean, frozen.input_std, size)
    shapes = pyramid_shapes(teacher.module, size)
    chosen = [shapes[level] for level in module.levels]
    levels = pyramid_inputs(names, module.levels)
    graph = BanksGraph(module, names, [(height, width) for _, height, width in chosen], size).eval()
    outputs = {f"map_{number}": MAP + name for number, name in enumerate(names)}
    form = GraphForm(graph, dict(zip(levels, chosen * len(names), strict=True)), tuple(outputs), "score")
    steps = (*teacher_steps(names, teacher.outputs), Step(SCORE, levels, outputs))
    return ExportForm({TEACHER: teacher, SCORE: form}, steps)
