"""All evidence of a recipe together: fitted one after the other, computed as one set of graphs.

A state holds the teacher's tensors once (`teacher.`), and those of every evidence under its kind.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial, reduce

import torch

from trd.config import Recipe
from trd.engines.base import Engine, Placement
from trd.engines.graphs import IMAGE, MAP, Graphs, Step
from trd.engines.pytorch.engine import PyTorchEngine
from trd.engines.pytorch.out_of_memory import TRAINING_REMEDY, explained_out_of_memory
from trd.engines.pytorch.precision import PRECISIONS, prediction_dtype, resolve_device
from trd.engines.tiled import tiled
from trd.errors import RecipeError
from trd.evidence.base import FitJob, GraphContext, Growing, Observations, Trained
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.registry import find_evidence
from trd.evidence.repeatable import repeatable
from trd.evidence.state import fill, tensors_of
from trd.preprocess.parts import PreparedParts, network_parts
from trd.preprocess.tiles import Tiles
from trd.teachers.frozen import FrozenTeacher, TeacherGraph, teacher_graphs
from trd.types import PrecisionName, State

TEACHER = "teacher."


def fit_evidence(job: FitJob) -> State:
    """What fits in seconds comes first, so that the rest can be stopped with something learned about the parts.

    The seed decides all of it. With a detector for each view of a part, a view's state has its name before it.
    """
    if not job.recipe.views.own_detectors:
        return _fit(job, network_parts)
    return joined({f"{v}/": _fit(_job_of_view(job, i), partial(network_parts, image=i)) for i, v in _views(job.recipe)})


def _views(recipe: Recipe) -> Iterable[tuple[int, str]]:
    return enumerate(recipe.views.names)


def _job_of_view(job: FitJob, number: int) -> FitJob:
    """With a place of its own for checkpoints, which goes with the job's."""
    name = job.recipe.views.names[number]
    return replace(job, title=f"{job.title}, {name}", folder=job.folder / "checkpoints" / "views" / name)


def _fit(job: FitJob, seen: Callable[[PreparedParts, Tiles | None], PreparedParts]) -> State:
    """seen: what of the parts the network sees at once."""
    held_out = None if job.held_out is None else seen(job.held_out, job.tiles)
    job = replace(job, training=seen(job.training, job.tiles), held_out=held_out)
    recipe, state = job.recipe, dict[str, State]()
    order = sorted(recipe.evidence, key=lambda kind: not recipe.evidence[kind].falls_back)
    with explained_out_of_memory(TRAINING_REMEDY), repeatable(recipe.seed):
        teacher = None
        if reads_teacher(recipe):
            graph = TeacherGraph(recipe.teacher)
            state[TEACHER] = tensors_of(graph.teacher)
            teacher = FrozenTeacher(graph, torch.device(resolve_device(job.device)))
        for kind in order:
            evidence = find_evidence(kind)
            assert isinstance(evidence, Trained)  # `trd.training.prepare` refuses the others before parts are prepared
            state[f"{kind}."] = evidence.fit(job, teacher)
    return joined(state)


def grown_evidence(job: FitJob, state: State, further: PreparedParts) -> State:
    """The state with further good parts in all of it that grows without a training; the rest of it as it is. For one
    picture that the network sees as a whole."""
    grown = dict(state)
    with explained_out_of_memory(TRAINING_REMEDY), repeatable(job.recipe.seed):
        teacher = None
        if reads_teacher(job.recipe):
            teacher = FrozenTeacher(_stored_teacher(job.recipe, state), torch.device(resolve_device(job.device)))
        for kind in job.recipe.growing:
            evidence = find_evidence(kind)
            assert isinstance(evidence, Growing)
            grown |= joined({f"{kind}.": evidence.grown(job, teacher, state_below(state, f"{kind}."), further)})
    return grown


def joined(states: Mapping[str, State]) -> State:
    """prefix -> tensors to one state."""
    return {prefix + name: value for prefix, part in states.items() for name, value in part.items()}


def state_below(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def reads_teacher(recipe: Recipe) -> bool:
    return any(section.reads_teacher for section in recipe.evidence.values())


def detector_graphs(recipe: Recipe, state: State, size: tuple[int, int], precision: PrecisionName = "fp32") -> Graphs:
    """From images to the maps of all branches, on the CPU.

    size: (height, width) of the images. With a detector for each view images and maps are called "front/rgb". Raises
    CheckpointError for a state that does not fit the recipe.
    """
    if recipe.views.own_detectors:
        parts = (
            _named_by_view(_graphs(recipe, state_below(state, f"{view}/"), size, precision), number, view)
            for number, view in _views(recipe)
        )
        return reduce(operator.add, parts)
    return _graphs(recipe, state, size, precision)


def _named_by_view(graphs: Graphs, number: int, view: str) -> Graphs:
    """With names that differ from other views'; the teacher is the same for all."""

    def graph(name: str) -> str:
        return name if graphs.graphs[name].role == "teacher" else f"view_{number}_{name}"

    def value(name: str) -> str:
        kind = next((kind for kind in (IMAGE, MAP) if name.startswith(kind)), "")
        return f"{kind}{view}/{name.removeprefix(kind)}"

    def values(names: Mapping[str, str]) -> dict[str, str]:
        return {port: value(name) for port, name in names.items()}

    steps = (Step(graph(s.graph), values(s.inputs), values(s.outputs)) for s in graphs.steps)
    return Graphs({graph(name): form for name, form in graphs.graphs.items()}, tuple(steps))


def _graphs(recipe: Recipe, state: State, size: tuple[int, int], precision: PrecisionName) -> Graphs:
    graphs, context = Graphs(), GraphContext(size, precision=precision)
    if reads_teacher(recipe):
        teacher = _stored_teacher(recipe, state)
        graphs = teacher_graphs(teacher, tuple(recipe.modalities), size)
        context = GraphContext(size, teacher.shapes(size), teacher.linear_outputs, precision)
    for kind in recipe.evidence:
        graphs += find_evidence(kind).graphs(recipe, state_below(state, f"{kind}."), context)
    return graphs


def _stored_teacher(recipe: Recipe, state: State) -> TeacherGraph:
    with WithoutInitialisation():  # every tensor is in the state, or `fill` complains
        teacher = TeacherGraph(recipe.teacher, load=False)
    fill(teacher.teacher, state_below(state, TEACHER))
    return teacher


def detector_engine(
    recipe: Recipe, state: State, size: tuple[int, int], placement: Placement, tiles: Tiles | None = None
) -> Engine:
    """size: (height, width) of what the network sees: with `tiles`, of a tile.

    Raises CheckpointError for a state that does not fit the recipe, RecipeError for what this machine lacks.
    """
    device = torch.device(resolve_device(placement.device))
    dtype = prediction_dtype(placement.precision or recipe.precision, device)
    graphs = detector_graphs(recipe, state, size, PRECISIONS[dtype])
    return tiled(PyTorchEngine(graphs, device, dtype, placement.compiled), tiles, recipe.views.own_detectors)


def refitted(recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations) -> State:
    """`Evidence.refitted` of all. Raises RecipeError with a detector for each view."""
    if recipe.views.own_detectors:
        raise RecipeError(
            "with views.detector = 'each' distances cannot be fitted anew in another precision: export with "
            "--precision fp32, or train with views.detector=shared"
        )
    anew = {
        f"{kind}.": find_evidence(kind).refitted(recipe, state_below(state, f"{kind}."), region, training, held_out)
        for kind in recipe.evidence
    }
    return joined({TEACHER: state_below(state, TEACHER), **anew})
