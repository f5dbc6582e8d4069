"""`trd.evidence.base.Evidence` of the memory bank."""

from __future__ import annotations

from trd.config import MEMORY_BANK, Recipe
from trd.engines.graphs import MAP, GraphForm, Graphs, Step
from trd.evidence.base import FitJob, GraphContext, Observations
from trd.evidence.memory_bank.bank import BankGraph, FeatureBank, levels_of, section
from trd.evidence.memory_bank.fit import fit_banks
from trd.evidence.memory_bank.growth import grown_banks
from trd.evidence.state import fill
from trd.preprocess.parts import PreparedParts
from trd.teachers.frozen import FrozenTeacher, pyramid_inputs
from trd.types import State


class MemoryBank:
    def fit(self, job: FitJob, teacher: FrozenTeacher | None) -> State:
        assert teacher is not None
        return fit_banks(job, teacher)

    def graphs(self, recipe: Recipe, state: State, context: GraphContext) -> Graphs:
        config, names = section(recipe), tuple(recipe.modalities)
        chosen = [context.levels[level] for level in levels_of(config)]
        graphs, steps = dict[str, GraphForm](), list[Step]()
        for number, (name, branch) in enumerate(zip(names, config.branches(names), strict=True)):
            entries = state.get(f"{number}.entries", ())
            bank = FeatureBank(len(entries), sum(channels for channels, *_ in chosen))
            fill(bank, state, f"{number}.")
            module = BankGraph(bank, config, chosen, context)
            inputs = pyramid_inputs([name], levels_of(config))
            graph = f"{MEMORY_BANK}_{number}"
            graphs[graph] = GraphForm(module.eval(), dict(zip(inputs, chosen, strict=True)), ("map",), "score")
            steps.append(Step(graph, inputs, {"map": MAP + branch}))
        return Graphs(graphs, tuple(steps))

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state  # nothing of it was fitted to what a lower precision changes

    def grown(self, job: FitJob, teacher: FrozenTeacher | None, state: State, further: PreparedParts) -> State:
        assert teacher is not None
        return grown_banks(job, teacher, state, further)


EVIDENCE = MemoryBank()
