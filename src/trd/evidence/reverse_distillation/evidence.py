"""`trd.evidence.base.Evidence` of tuned reverse distillation."""

from __future__ import annotations

from trd.config import Recipe
from trd.engines.graphs import Graphs
from trd.evidence.base import FitJob, GraphContext, Observations
from trd.evidence.reverse_distillation.fit import fit_students, refitted_distances
from trd.evidence.reverse_distillation.graphs import score_graphs, student_graphs
from trd.evidence.reverse_distillation.restored import restored, section
from trd.teachers.frozen import FrozenTeacher
from trd.types import State


class ReverseDistillation:
    def fit(self, job: FitJob, teacher: FrozenTeacher | None) -> State:
        assert teacher is not None
        return fit_students(job, teacher)

    def graphs(self, recipe: Recipe, state: State, context: GraphContext) -> Graphs:
        network, distances = restored(recipe, state, tuple(shape[0] for shape in context.levels), context.linear)
        weights = section(recipe).level_weights
        return student_graphs(network, context) + score_graphs(network, distances, weights, context)

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return refitted_distances(recipe, state, region, training, held_out)


EVIDENCE = ReverseDistillation()
