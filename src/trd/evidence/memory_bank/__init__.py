"""Distance from the nearest feature of good parts: PatchCore (Roth et al., CVPR 2022), one bank per modality.

Only the recipe's section is imported here: torch is, when something is fitted or computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trd.errors import RecipeError
from trd.evidence.memory_bank.config import MemoryBankConfig, check

if TYPE_CHECKING:
    from trd.config import Recipe
    from trd.engines.base import Engine, Placement
    from trd.evidence.base import FitJob
    from trd.evidence.exportable import ExportForm, Observations
    from trd.types import State


class MemoryBankMethod:
    """`trd.evidence.base.Method`."""

    config = MemoryBankConfig
    check = staticmethod(check)

    def without_effect(self, recipe: Recipe) -> tuple[tuple[str, ...], ...]:
        return ()

    def branches(self, recipe: Recipe) -> tuple[str, ...]:
        return tuple(recipe.modalities)

    def fit(self, job: FitJob) -> State:
        from trd.evidence.memory_bank.fit import fit_banks

        return fit_banks(job)

    def engine(self, recipe: Recipe, state: State, placement: Placement) -> Engine:
        from trd.evidence.memory_bank.engine import bank_engine

        return bank_engine(recipe, state, placement)

    def variants(self, recipe: Recipe) -> dict[str, Recipe]:
        raise RecipeError("method 'memory_bank' has no ablation")

    def export_form(self, recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
        from trd.evidence.memory_bank.exported import bank_export_form

        return bank_export_form(recipe, state, size)

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state  # the teacher, and so its features, stay in float32


METHOD = MemoryBankMethod()
