"""A teacher as a graph of its own, called once for each modality; several classes may share it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trd.engines.pytorch.exportable import exportable
from trd.engines.steps import IMAGE, Step
from trd.evidence.exportable import GraphForm

TEACHER = "teacher"
Shape = tuple[int, ...]


class TeacherGraph(nn.Module):
    """(B, 3, h, w) images in [0, 1] -> the levels of the pyramid, as the teacher gives them."""

    mean: Tensor
    std: Tensor

    def __init__(self, teacher: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.teacher = exportable(teacher)
        self.register_buffer("mean", mean.detach().clone().cpu())
        self.register_buffer("std", std.detach().clone().cpu())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.teacher((image - self.mean) / self.std))


def teacher_form(teacher: nn.Module, mean: Tensor, std: Tensor, size: tuple[int, int]) -> GraphForm:
    graph = TeacherGraph(teacher, mean, std).eval()
    levels = len(pyramid_shapes(graph, size))
    return GraphForm(graph, {"image": (3, *size)}, tuple(f"level_{index}" for index in range(levels)), "teacher")


@torch.no_grad()
def pyramid_shapes(graph: nn.Module, size: tuple[int, int]) -> tuple[Shape, ...]:
    """(C, h, w) of each level for images of that size."""
    return tuple(tuple(level.shape[1:]) for level in graph(torch.zeros(1, 3, *size)))


def teacher_steps(modalities: Sequence[str], outputs: Sequence[str]) -> list[Step]:
    return [
        Step(TEACHER, {"image": IMAGE + name}, {output: level_value(name, i) for i, output in enumerate(outputs)})
        for name in modalities
    ]


def level_value(modality: str, level: int) -> str:
    return f"teacher.{modality}.{level}"


def pyramid_inputs(modalities: Sequence[str], levels: Sequence[int]) -> dict[str, str]:
    """A graph's inputs for these levels of the modalities' pyramids: its own name -> name of the value.

    Numbered, since a modality's name may be one that a runtime does not take.
    """
    return {
        f"teacher_{number}_{level}": level_value(name, level)
        for number, name in enumerate(modalities)
        for level in levels
    }
