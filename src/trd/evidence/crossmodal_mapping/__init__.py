"""Does what one modality shows agree with the others? Crossmodal feature mapping (Costanzino et al., CVPR 2024).

Only the recipe's section is imported here: torch is, when something is fitted or computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trd.errors import RecipeError
from trd.evidence.crossmodal_mapping.config import JOINT, CrossmodalMappingConfig, check, without_effect

if TYPE_CHECKING:
    from trd.config import Recipe
    from trd.engines.base import Engine, Placement
    from trd.evidence.base import FitJob
    from trd.evidence.exportable import ExportForm, Observations
    from trd.types import State


class CrossmodalMappingMethod:
    """`trd.evidence.base.Method`."""

    config = CrossmodalMappingConfig
    check = staticmethod(check)
    without_effect = staticmethod(without_effect)

    def branches(self, recipe: Recipe) -> tuple[str, ...]:
        return (JOINT,)

    def fit(self, job: FitJob) -> State:
        from trd.evidence.crossmodal_mapping.fit import fit_mappings

        return fit_mappings(job)

    def engine(self, recipe: Recipe, state: State, placement: Placement) -> Engine:
        from trd.evidence.crossmodal_mapping.engine import mapping_engine

        return mapping_engine(recipe, state, placement)

    def variants(self, recipe: Recipe) -> dict[str, Recipe]:
        raise RecipeError("method 'crossmodal_mapping' has no ablation")

    def export_form(self, recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
        from trd.evidence.crossmodal_mapping.exported import mapping_export_form

        return mapping_export_form(recipe, state, size)

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state  # distances of unit vectors: nothing of them was fitted


METHOD = CrossmodalMappingMethod()
