"""`trd.evidence.base.Evidence` of crossmodal mapping."""

from __future__ import annotations

from trd.config import CROSSMODAL_MAPPING, Recipe
from trd.config.crossmodal_mapping import BRANCH
from trd.engines.graphs import MAP, GraphForm, Graphs, Step
from trd.evidence.base import FitJob, GraphContext, Observations
from trd.evidence.crossmodal_mapping.fit import fit_mappings
from trd.evidence.crossmodal_mapping.mappings import CrossmodalMappings, MappingGraph, ProductGraph
from trd.evidence.state import fill
from trd.teachers.frozen import FrozenTeacher, pyramid_inputs
from trd.types import State


class CrossmodalMapping:
    def fit(self, job: FitJob, teacher: FrozenTeacher | None) -> State:
        assert teacher is not None
        return fit_mappings(job, teacher)

    def graphs(self, recipe: Recipe, state: State, context: GraphContext) -> Graphs:
        names, shapes = tuple(recipe.modalities), context.levels
        module = CrossmodalMappings(names, sum(channels for channels, *_ in shapes))
        fill(module, state)
        graphs, steps = dict[str, GraphForm](), list[Step]()
        predicted: dict[str, str] = {}
        for number, (name, mapping) in enumerate(zip(names, module.mappings, strict=True)):
            others = pyramid_inputs([other for other in names if other != name], range(len(shapes)))
            graph, value = f"{CROSSMODAL_MAPPING}_student_{number}", f"{CROSSMODAL_MAPPING}.{name}"
            inputs = dict(zip(others, shapes * (len(names) - 1), strict=True))
            graphs[graph] = GraphForm(MappingGraph(mapping, shapes).eval(), inputs, ("features",), "student")
            steps.append(Step(graph, others, {"features": value}))
            predicted[f"predicted_{number}"] = value
        levels = pyramid_inputs(names, range(len(shapes)))
        features = (*shapes[0][1:], sum(channels for channels, *_ in shapes))
        inputs = {**dict(zip(levels, shapes * len(names), strict=True)), **dict.fromkeys(predicted, features)}
        score, product = f"{CROSSMODAL_MAPPING}_score", ProductGraph(len(names), shapes, context.size).eval()
        graphs[score] = GraphForm(product, inputs, ("map",), "score")
        steps.append(Step(score, {**levels, **predicted}, {"map": MAP + BRANCH}))
        return Graphs(graphs, tuple(steps))

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state  # distances of unit vectors: nothing of them was fitted


EVIDENCE = CrossmodalMapping()
