"""All evidence of a recipe together: fitted one after the other, computed as one set of graphs.

A state holds the teacher's tensors once (`teacher.`), and those of every evidence under its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from trd.config import Recipe
from trd.engines.base import Engine, Placement
from trd.engines.graphs import Graphs
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.out_of_memory import TRAINING_REMEDY, explained_out_of_memory
from trd.engines.pytorch.precision import PRECISIONS, prediction_dtype, resolve_device
from trd.engines.tiled import tiled
from trd.evidence.base import FitJob, GraphContext, Observations
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.registry import find_evidence
from trd.evidence.repeatable import repeatable
from trd.evidence.state import fill, tensors_of
from trd.preprocess.parts import network_parts
from trd.preprocess.tiles import Tiles
from trd.teachers.frozen import FrozenTeacher, TeacherGraph, teacher_graphs
from trd.types import PrecisionName, State

TEACHER = "teacher."


def fit_evidence(job: FitJob) -> State:
    """What fits in seconds comes first, so that the rest can be stopped with something learned about the parts.

    The seed decides all of it.
    """
    job, recipe, state = in_tiles(job), job.recipe, dict[str, State]()
    order = sorted(recipe.evidence, key=lambda kind: not recipe.evidence[kind].falls_back)
    with explained_out_of_memory(TRAINING_REMEDY), repeatable(recipe.seed):
        teacher = None
        if reads_teacher(recipe):
            graph = TeacherGraph(recipe.teacher)
            state[TEACHER] = tensors_of(graph.teacher)
            teacher = FrozenTeacher(graph, torch.device(resolve_device(job.device)))
        for kind in order:
            state[f"{kind}."] = find_evidence(kind).fit(job, teacher)
    return joined(state)


def in_tiles(job: FitJob) -> FitJob:
    """The job with tiles as parts, where the network sees tiles."""
    held_out = None if job.held_out is None else network_parts(job.held_out, job.tiles)
    return replace(job, training=network_parts(job.training, job.tiles), held_out=held_out)


def joined(states: Mapping[str, State]) -> State:
    """prefix -> tensors to one state."""
    return {prefix + name: value for prefix, part in states.items() for name, value in part.items()}


def state_below(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def reads_teacher(recipe: Recipe) -> bool:
    return any(section.reads_teacher for section in recipe.evidence.values())


def detector_graphs(recipe: Recipe, state: State, size: tuple[int, int], precision: PrecisionName = "fp32") -> Graphs:
    """From images to the maps of all branches, on the CPU.

    size: (height, width) of the images. Raises CheckpointError for a state that does not fit the recipe.
    """
    graphs, context = Graphs(), GraphContext(size, precision=precision)
    if reads_teacher(recipe):
        with WithoutInitialisation():  # every tensor is in the state, or `fill` complains
            teacher = TeacherGraph(recipe.teacher, load=False)
        fill(teacher.teacher, state_below(state, TEACHER))
        graphs = teacher_graphs(teacher, tuple(recipe.modalities), size)
        context = GraphContext(size, teacher.shapes(size), teacher.linear_outputs, precision)
    for kind in recipe.evidence:
        graphs += find_evidence(kind).graphs(recipe, state_below(state, f"{kind}."), context)
    return graphs


def detector_engine(
    recipe: Recipe, state: State, size: tuple[int, int], placement: Placement, tiles: Tiles | None = None
) -> Engine:
    """size: (height, width) of what the network sees: with `tiles`, of a tile.

    Raises CheckpointError for a state that does not fit the recipe, RecipeError for what this machine lacks.
    """
    device = torch.device(resolve_device(placement.device))
    dtype = prediction_dtype(placement.precision or recipe.precision, device)
    graphs = detector_graphs(recipe, state, size, PRECISIONS[dtype])
    return tiled(PyTorchEngine(graphs, device, dtype, placement.compiled), tiles)


def refitted(recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations) -> State:
    """`Evidence.refitted` of all."""
    anew = {
        f"{kind}.": find_evidence(kind).refitted(recipe, state_below(state, f"{kind}."), region, training, held_out)
        for kind in recipe.evidence
    }
    return joined({TEACHER: state_below(state, TEACHER), **anew})
