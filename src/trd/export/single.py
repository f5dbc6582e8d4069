"""One plain ONNX file with everything from prepared images to the score, for other people's software.

Inputs: each modality (B, 3, h, w) float32 in [0, 1], and `region` (B, h, w) float32, 1 where the part is scored.
Outputs: `raw_BRANCH` maps, `map_BRANCH` standardised and smoothed, `fused_map` (B, h, w), `score` (B,). The threshold
is not in the graph: it is in the metadata, with everything else that is needed, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trd.decision.calibration import Calibration, MapStatistics
from trd.decision.maps import smoothing_matrix
from trd.engines.steps import IMAGE, MAP, Step
from trd.errors import RecipeError
from trd.export.graphs import onnx_bytes
from trd.files import write_bytes
from trd.methods.exportable import Exportable, ExportForm, GraphForm
from trd.packages.package import Package
from trd.registry import find_method
from trd.stored import detector_folder, read_detector, stand_in_folder

FORMAT = "trd-single/1"


class Decided(nn.Module):
    """Raw maps (B, h, w) and region -> standardised maps, fused map, score: `trd.decision` as arithmetic of tensors."""

    rows: Tensor
    columns: Tensor

    def __init__(self, calibration: Calibration, branches: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__()
        rows, columns = (torch.from_numpy(smoothing_matrix(side, calibration.sigma)) for side in size)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())
        self.fusion = calibration.fusion
        self.of_branch: list[tuple[MapStatistics, tuple[float, float]]] = [
            (calibration.maps[name], calibration.unit(name)) for name in branches
        ]

    def forward(self, raw: Sequence[Tensor], region: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        maps = []
        for values, (numbers, (shift, scale)) in zip(raw, self.of_branch, strict=True):
            scores = torch.where(region > 0.5, (values - numbers.mean) / numbers.std, numbers.floor)
            smoothed = self.rows @ (scores @ self.columns)
            maps.append((smoothed - shift) / scale)
        stack = torch.stack(maps)
        if self.fusion == "sum":
            fused = stack.sum(dim=0)
        else:
            greatest = stack.amax(dim=0)
            fused = torch.where(greatest > 0, stack.clamp_min(0).square().sum(dim=0).sqrt(), greatest)
        return maps, fused, fused.amax(dim=(1, 2))


class Whole(nn.Module):
    """All steps, and the decision after them."""

    def __init__(self, form: ExportForm, decided: Decided, modalities: Sequence[str], branches: Sequence[str]) -> None:
        super().__init__()
        self.graphs = nn.ModuleDict({name: graph.module for name, graph in form.graphs.items()})
        self.decided = decided
        self.modalities, self.branches = modalities, branches
        self.plan: list[tuple[Step, GraphForm]] = [(step, form.graphs[step.graph]) for step in form.steps]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        values = {IMAGE + name: image for name, image in zip(self.modalities, inputs[:-1], strict=True)}
        for step, form in self.plan:
            given = self.graphs[step.graph](*(values[step.inputs[own]] for own in form.inputs))
            values |= {step.outputs[own]: value for own, value in zip(form.outputs, given, strict=True)}
        raw = [values[MAP + name] for name in self.branches]
        maps, fused, score = self.decided(raw, inputs[-1])
        return (*raw, *maps, fused, score)


def single_form(
    form: ExportForm, calibration: Calibration, modalities: Sequence[str], size: tuple[int, int]
) -> GraphForm:
    branches = list(calibration.maps)
    whole = Whole(form, Decided(calibration, branches, size), list(modalities), branches).eval()
    inputs: dict[str, tuple[int, ...]] = {**dict.fromkeys(modalities, (3, *size)), "region": size}
    outputs = (*(f"raw_{name}" for name in branches), *(f"map_{name}" for name in branches), "fused_map", "score")
    return GraphForm(whole, inputs, outputs, "score")


def export_single(run: Path, package: Package, out: Path, without: str = "") -> None:
    """In float32, with the package's calibration, which must be of float32. Raises RecipeError for another."""
    if package.manifest.precision != "32":
        raise RecipeError(
            f"--single is in float32, the package in {package.manifest.precision}: export with --precision fp32"
        )
    facts, state = read_detector(stand_in_folder(run, without) if without else detector_folder(run))
    method, frame = find_method(facts.recipe.method.name), facts.frame
    assert isinstance(method, Exportable)
    calibration = package.facts.calibration
    form = single_form(
        method.export_form(facts.recipe, state, frame.size), calibration, tuple(facts.recipe.modalities), frame.size
    )
    write_bytes(out, onnx_bytes(form, _metadata(package)))


def _metadata(package: Package) -> Mapping[str, str]:
    facts, calibration = package.facts, package.facts.calibration
    told = {
        "format": FORMAT,
        "detector": facts.id,
        "class_name": facts.class_name,
        "frame": facts.frame.to_json(),
        "threshold": calibration.image_threshold.value,
        "pixel_threshold": calibration.pixel_threshold.value,
        "requested_rate": calibration.image_threshold.requested_rate,
        "guaranteed_rate": calibration.image_threshold.guaranteed_rate,
        "good_scores": list(calibration.good_scores),
        "recipe": facts.recipe.to_toml(),
        "licences": dict(package.manifest.licences),
    }
    return {f"trd.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
