"""Evidence of forty lines that fits in milliseconds. docs/architecture.md shows it."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import nn

from trd.config import EvidenceConfig
from trd.engines.graphs import IMAGE, MAP, GraphForm, Graphs, Step
from trd.evidence.state import fill
from trd.preprocess.parts import stacked_images

KIND = "mean_distance"


class MeanDistanceConfig(EvidenceConfig):
    """Distance from the mean good part, pixel by pixel."""

    reads_teacher: ClassVar[bool] = False

    least: Annotated[float, Field(gt=0, description="The smallest deviation that is divided by.")] = 0.02

    def branches(self, modalities):
        return tuple(f"{name}_mean" for name in modalities)


class MeanGraph(nn.Module):
    """(B, 3, h, w) -> (B, h, w)."""

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def forward(self, image):
        return (((image - self.mean).abs() / self.std).mean(dim=1),)


class MeanDistance:
    def fit(self, job, teacher):
        least, state = job.recipe.evidence[KIND].least, {}
        for number, stack in enumerate(stacked_images(list(job.training)).values()):
            state[f"{number}.mean"] = stack.mean(axis=0)
            state[f"{number}.std"] = np.maximum(stack.std(axis=0), least)
        return state

    def graphs(self, recipe, state, context):
        graphs, steps, shape = {}, [], (3, *context.size)
        for number, name in enumerate(recipe.modalities):
            module, graph = MeanGraph(shape), f"{KIND}_{number}"
            fill(module, state, f"{number}.")
            graphs[graph] = GraphForm(module.eval(), {"image": shape}, ("map",), "score")
            steps.append(Step(graph, {"image": IMAGE + name}, {"map": f"{MAP}{name}_mean"}))
        return Graphs(graphs, tuple(steps))

    def refitted(self, recipe, state, region, training, held_out):
        return state


EVIDENCE = MeanDistance()

COLOUR = '[modalities.rgb]\nrepresentation = "image"\nsource = "rgb"\n'
DEPTH = '[modalities.depth]\nrepresentation = "depth_image"\nsource = "xyz"\n'


def toml(name: str, modalities: str = COLOUR + DEPTH, more: str = "") -> str:
    return f'name = "{name}"\n{modalities}[frame]\nsize = 64\n[evidence.{KIND}]\n{more}'
