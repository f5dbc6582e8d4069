"""Tuned reverse distillation: network/, the maps made of its output, and its training.

Only the recipe's section is imported here: torch and lightning are, when something is fitted or computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trd.evidence.reverse_distillation.config import TRDConfig, branches, check, without_effect

if TYPE_CHECKING:
    from trd.config import Recipe
    from trd.engines.base import Engine, Placement
    from trd.evidence.base import FitJob
    from trd.evidence.exportable import ExportForm, Observations
    from trd.types import State


class TunedReverseDistillationMethod:
    """`trd.evidence.base.Method`."""

    config = TRDConfig
    without_effect = staticmethod(without_effect)
    branches = staticmethod(branches)
    check = staticmethod(check)

    def fit(self, job: FitJob) -> State:
        from trd.evidence.reverse_distillation.training.fit import fit_students

        return fit_students(job)

    def engine(self, recipe: Recipe, state: State, placement: Placement) -> Engine:
        from trd.evidence.reverse_distillation.engine import trd_engine

        return trd_engine(recipe, state, placement)

    def variants(self, recipe: Recipe) -> dict[str, Recipe]:
        from trd.evidence.reverse_distillation.variants import ablation

        return ablation(recipe)

    def export_form(self, recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
        from trd.evidence.reverse_distillation.exported import trd_export_form

        return trd_export_form(recipe, state, size)

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        from trd.evidence.reverse_distillation.exported import trd_refitted

        return trd_refitted(recipe, state, region, training, held_out)


METHOD = TunedReverseDistillationMethod()
