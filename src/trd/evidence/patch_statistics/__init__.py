"""Patch statistics alone, without a network: `trd.statistics` as a method, a map per modality.

Only the recipe's section is imported here: torch is, when something is fitted or computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import Field

from trd.config import MethodConfig
from trd.errors import RecipeError

if TYPE_CHECKING:
    from trd.config import Recipe
    from trd.engines.base import Engine, Placement
    from trd.evidence.base import FitJob
    from trd.evidence.exportable import ExportForm, Observations
    from trd.types import State


class PatchStatisticsConfig(MethodConfig):
    """Statistics of colour and of the surface's curvature, compared with good parts' at such a place."""

    name: Annotated[Literal["patch_statistics"], Field(description="This method.")] = "patch_statistics"
    components: Annotated[
        int,
        Field(ge=1, le=1000, description="Kinds of places told apart on good parts, per modality (docs/methods.md)."),
    ] = 32


class PatchStatisticsMethod:
    """`trd.evidence.base.Method`."""

    config = PatchStatisticsConfig

    def without_effect(self, recipe: Recipe) -> tuple[tuple[str, ...], ...]:
        return ()

    def branches(self, recipe: Recipe) -> tuple[str, ...]:
        return tuple(recipe.modalities)

    def check(self, recipe: Recipe) -> None:
        """Nothing can contradict."""

    def fit(self, job: FitJob) -> State:
        import torch

        from trd.engines.pytorch.precision import resolve_device
        from trd.evidence.patch_statistics.maps import fit_statistics
        from trd.evidence.state import tensors_of

        device = torch.device(resolve_device(job.device))
        return tensors_of(fit_statistics(job.recipe, _components(job.recipe), job.training, device))

    def engine(self, recipe: Recipe, state: State, placement: Placement) -> Engine:
        import torch

        from trd.engines.pytorch.engine import PyTorchEngine
        from trd.engines.pytorch.precision import resolve_device
        from trd.evidence.patch_statistics.maps import StatisticsMaps
        from trd.evidence.state import fill

        device = torch.device(resolve_device(placement.device))
        maps = StatisticsMaps(recipe, _components(recipe))
        fill(maps, state)
        return PyTorchEngine(maps.to(device), device, torch.float32, "eager")

    def variants(self, recipe: Recipe) -> dict[str, Recipe]:
        raise RecipeError("method 'patch_statistics' has no ablation")

    def export_form(self, recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
        from trd.evidence.exported_statistics import statistics_form
        from trd.evidence.patch_statistics.maps import StatisticsMaps
        from trd.evidence.state import fill

        maps = StatisticsMaps(recipe, _components(recipe))
        fill(maps, state)
        return statistics_form(maps, lambda modality: modality, size)

    def refitted(
        self, recipe: Recipe, state: State, region: str, training: Observations, held_out: Observations
    ) -> State:
        return state  # of the images, not of what a network gives


def _components(recipe: Recipe) -> int:
    return cast(PatchStatisticsConfig, recipe.method).components


METHOD = PatchStatisticsMethod()
