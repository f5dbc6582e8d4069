"""`trd.evidence.base.Evidence` of patch statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from trd.config import PATCH_STATISTICS, Recipe
from trd.engines.graphs import IMAGE, MAP, GraphForm, Graphs, Step
from trd.engines.pytorch.precision import resolve_device
from trd.evidence.base import FitJob, GraphContext, Observations
from trd.evidence.patch_statistics.maps import fit_statistics, section, statistics_map
from trd.evidence.state import fill, tensors_of
from trd.preprocess.parts import PreparedParts
from trd.teachers.frozen import FrozenTeacher
from trd.types import State


class PatchStatistics:
    def fit(self, job: FitJob, teacher: FrozenTeacher | None) -> State:
        maps = fit_statistics(job.recipe, job.training, torch.device(resolve_device(job.device)))
        state = dict[str, NDArray[np.generic]]()
        for number, modality_map in enumerate(maps):
            state |= tensors_of(modality_map, f"{number}.")
        return state

    def graphs(self, recipe: Recipe, state: State, context: GraphContext) -> Graphs:
        names = tuple(recipe.modalities)
        graphs, steps = dict[str, GraphForm](), list[Step]()
        for number, (name, branch) in enumerate(zip(names, section(recipe).branches(names), strict=True)):
            module, graph = statistics_map(recipe, name), f"{PATCH_STATISTICS}_{number}"
            fill(module, state, f"{number}.")
            graphs[graph] = GraphForm(module.eval(), {"image": (3, *context.size)}, ("map",), "score")
            steps.append(Step(graph, {"image": IMAGE + name}, {"map": MAP + branch}))
        return Graphs(graphs, tuple(steps))

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state  # of the images, not of what a network gives

    def grown(self, job: FitJob, teacher: FrozenTeacher | None, state: State, further: PreparedParts) -> State:
        """Fitted anew on all parts together: it takes seconds, and every part counts by its cells as it should."""
        return self.fit(replace(job, training=job.training.and_also(further)), teacher)


EVIDENCE = PatchStatistics()
