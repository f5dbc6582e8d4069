"""A teacher as a graph, images in and pyramid out; its frozen copy for fitting; and which of its cells are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trd.config import BackboneConfig
from trd.engines.graphs import IMAGE, GraphForm, Graphs, Shape, Step
from trd.engines.pytorch.frozen import frozen, images_at_once
from trd.teachers import Teacher, build_teacher
from trd.teachers.pyramid import Pyramid
from trd.types import PreparedSample

STRIDES = (4, 8, 16)
"""Pixels per cell of the levels of every teacher's pyramid."""
GRAPH = "teacher"


class TeacherGraph(nn.Module):
    """(B, 3, h, w) images in [0, 1] -> pyramid. Input mean and deviation are the teacher's, held here as non-persistent
    buffers, so that no caller normalises. `teacher` is what is saved.

    load: False leaves the weights as initialised, for a state that brings them along.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(self, config: BackboneConfig, load: bool = True) -> None:
        super().__init__()
        layers = None if config.layers == "auto" else config.layers
        self.teacher = build_teacher(config.name, config.weights if load else None, layers)
        facts = cast(Teacher, self.teacher)
        self.channels, self.linear_outputs = tuple(facts.channels), facts.linear_outputs
        self.keeps_layers = getattr(self.teacher, "keeps_layers", False)
        self.register_buffer("input_mean", torch.tensor(facts.input_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("input_std", torch.tensor(facts.input_std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Pyramid:
        normalised = (image - self.input_mean) / self.input_std
        if not torch.compiler.is_exporting():
            normalised = normalised.contiguous(memory_format=torch.channels_last)
        return tuple(self.teacher(normalised))

    def shapes(self, size: tuple[int, int]) -> tuple[Shape, ...]:
        """(C, h, w) of each level for images of that size."""
        return tuple(
            (channels, size[0] // stride, size[1] // stride)
            for channels, stride in zip(self.channels, STRIDES, strict=True)
        )


class FrozenTeacher:
    """A frozen copy of a teacher on a device, for fitting: float32, also under autocast, without gradients.

    Its features are what everything is measured against: bf16 makes them 3 to 7 % noise, which cost up to 0.017 image
    AUROC, while bf16 students cost nothing that could be measured.
    """

    def __init__(self, graph: TeacherGraph, device: torch.device) -> None:
        self.graph, self.device = graph, device
        self.channels, self.linear_outputs = graph.channels, graph.linear_outputs
        self._copy = frozen(graph, device, torch.float32)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Pyramid:
        """(B, 3, h, w) in [0, 1]; on CPUs few at a time."""
        with torch.autocast(images.device.type, enabled=False):
            chunks = [self._copy(chunk) for chunk in torch.split(images, images_at_once(images))]
        return tuple(torch.cat(level) for level in zip(*chunks, strict=True))

    def pyramids(self, images: Mapping[str, Tensor]) -> dict[str, Pyramid]:
        """modality -> (B, 3, h, w) to modality -> pyramid."""
        levels = self(torch.cat(list(images.values())))
        split = zip(*(level.chunk(len(images)) for level in levels), strict=True)
        return dict(zip(images, split, strict=True))


def teacher_graphs(teacher: TeacherGraph, modalities: Sequence[str], size: tuple[int, int]) -> Graphs:
    """One graph, called for every modality."""
    outputs = tuple(f"level_{index}" for index in range(len(STRIDES)))
    form = GraphForm(teacher.eval(), {"image": (3, *size)}, outputs, "teacher")
    steps = tuple(
        Step(GRAPH, {"image": IMAGE + name}, {output: level_value(name, i) for i, output in enumerate(outputs)})
        for name in modalities
    )
    return Graphs({GRAPH: form}, steps)


def level_value(modality: str, level: int) -> str:
    """Name of the value that holds a level of a modality's pyramid."""
    return f"{GRAPH}.{modality}.{level}"


def pyramid_inputs(modalities: Sequence[str], levels: Sequence[int]) -> dict[str, str]:
    """A graph's inputs for these levels of the modalities' pyramids: its own name -> name of the value.

    Numbered, since a modality's name may be one that a runtime does not take.
    """
    return {
        f"teacher_{number}_{level}": level_value(name, level)
        for number, name in enumerate(modalities)
        for level in levels
    }


def on_one_grid(pyramid: Pyramid) -> Tensor:
    """(B, C, H, W) of all levels side by side on the finest one's cells, the coarser ones interpolated."""
    size = pyramid[0].shape[2:]
    rest = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in pyramid[1:]]
    return torch.cat([pyramid[0], *rest], dim=1)


def scored_cells(part: PreparedSample, size: tuple[int, int]) -> Tensor:
    """Indices (N,) of the cells of a grid of `size` with a pixel that is scored; of all where the part has no region.

    Any pixel: each scored cell of a part to come then has its like among those that are learned from.
    """
    if part.region is None or not part.region.any():
        return torch.arange(size[0] * size[1])
    region = torch.from_numpy(part.region.astype(np.float32))
    return F.adaptive_max_pool2d(region[None], size).flatten().nonzero().flatten()
