"""Banks and further good parts -> larger banks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from trd.engines.pytorch.out_of_memory import explained_out_of_memory
from trd.evidence.base import FitJob
from trd.evidence.memory_bank.fit import REMEDY, cell_features
from trd.evidence.memory_bank.neighbours import NearestNeighbours, farthest_points
from trd.preprocess.parts import PreparedParts
from trd.progress import tracked
from trd.teachers.frozen import FrozenTeacher
from trd.types import State

USUAL = 0.999  # quantile of held-out cells' distances: a part has a thousand cells or so


@torch.no_grad()
def grown_banks(job: FitJob, teacher: FrozenTeacher, state: State, further: PreparedParts) -> State:
    """`Growing.grown`: what is there stays, in its units; cells of the further parts that lie far from it join.

    Far is what lies beyond the worst places of held-out good parts: what is nearer raises no alarm, and an entry for it
    would hide defects. They are at most as many as a part's share of the bank is.
    """
    assert job.held_out is not None
    random, grown = torch.Generator().manual_seed(job.recipe.seed), dict(state)
    for number, name in enumerate(job.recipe.modalities):
        with explained_out_of_memory(REMEDY):
            held_out, features = (
                cell_features(name, replace(job, training=parts), teacher, random) for parts in (job.held_out, further)
            )
            entries, mean, std = (
                torch.from_numpy(np.asarray(state[f"{number}.{key}"])).to(features.device)
                for key in ("entries", "mean", "std")
            )
            nearest = NearestNeighbours(entries)
            usual = torch.quantile(nearest((held_out - mean) / std), USUAL)
            features = (features - mean) / std
            features = features[nearest(features) > usual]
            if not len(features):
                continue
            count = math.ceil(len(entries) * len(further) / len(job.training))
            farthest = farthest_points(features, count, random, known=entries)
            indices = list(tracked(farthest, f"{job.title}: bank of {name}", min(count, len(features)), job.console))
            added = features[torch.tensor(indices, device=features.device)].half().float()
            grown[f"{number}.entries"] = torch.cat([entries, added]).cpu().numpy()
    return grown
