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
    from trd.methods.base import FitJob
    from trd.methods.exportable import ExportForm, Observations
    from trd.types import State


class PatchStatisticsConfig(MethodConfig):
    """Statistics of colour and of the surface's curvature, compared with good parts' at such a place."""

    name: Annotated[Literal["patch_statistics"], Field(description="This method.")] = "patch_statistics"
    components: Annotated[
        int,
        Field(ge=1, le=1000, description="Kinds of places told apart on good parts, per modality (docs/methods.md)."),
    ] = 32


class PatchStatisticsMethod:
    """`trd.methods.base.Method`."""

    config = PatchStatisticsConfig

    def without_effect(self, recipe: Recipe) -> tuple[tuple[str, ...], ...]:
        return ()

    def branches(self, recipe: Recipe) -> tuple[str, ...]:
        return tuple(recipe.modalities)

    def check(self, recipe: Recipe) -> None:
        """Nothing can contradict."""

    def fit(self, job: FitJob) -> State:
        import torch

        from trd.compute.precision import resolve_device
        from trd.compute.state import tensors_of
        from trd.statistics.maps import fit_statistics

        device = torch.device(resolve_device(job.device))
        return tensors_of(fit_statistics(job.recipe, _components(job.recipe), job.training, device))

    def engine(self, recipe: Recipe, state: State, placement: Placement) -> Engine:
        import torch

        from trd.compute.precision import resolve_device
        from trd.compute.state import fill
        from trd.engines.pytorch import PyTorchEngine
        from trd.statistics.maps import StatisticsMaps

        device = torch.device(resolve_device(placement.device))
        maps = StatisticsMaps(recipe, _components(recipe))
        fill(maps, state)
        return PyTorchEngine(maps.to(device), device, torch.float32, "eager")

    def variants(self, recipe: Recipe) -> dict[str, Recipe]:
        raise RecipeError("method 'patch_statistics' has no ablation")

    def export_form(self, recipe: Recipe, state: State, size: tuple[int, int]) -> ExportForm:
        from trd.compute.state import fill
        from trd.methods.exported_statistics import statistics_form
        from trd.statistics.maps import StatisticsMaps

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
