"""One plain ONNX file with everything from prepared images to the score, for other people's software.

Inputs: each modality (B, 3, h, w) float32 in [0, 1], and `region` (B, h, w) float32, 1 where the part is scored.
Outputs: `raw_BRANCH` maps, `map_BRANCH` standardised and smoothed, `fused_map` (B, h, w), `score` (B,). The threshold
is not in the graph: it is in the metadata, with everything else that is needed, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trd.decision.calibration import Calibration
from trd.decision.maps import Limits, decide, smoothing_matrix
from trd.detector import Detector
from trd.engines.graphs import IMAGE, MAP, GraphForm, Step
from trd.errors import RecipeError, TRDError
from trd.export.equivalence import LARGEST_MAP, LARGEST_SCORE
from trd.export.export import Exported
from trd.export.graphs import onnx_bytes
from trd.export.joining import joined
from trd.files import write_bytes
from trd.packages.golden import Golden
from trd.packages.package import Package
from trd.preprocess.frame import Frame
from trd.preprocess.parts import stacked_images
from trd.preprocess.regions import Regions, limit_map
from trd.stored import DetectorFacts

FORMAT = "trd-single/1"
REGION, DECISION = "region", "decision"


class Decided(nn.Module):
    """Raw maps (B, h, w) of all branches and region -> standardised maps, fused map, score: `trd.decision.maps.decide`
    of tensors."""

    rows: Tensor
    columns: Tensor
    limits: Tensor | None

    def __init__(self, calibration: Calibration, size: tuple[int, int], limits: Limits = None) -> None:
        """limits: of every part alike."""
        super().__init__()
        rows, columns = (torch.from_numpy(smoothing_matrix(side, calibration.sigma)) for side in size)
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns.T.contiguous())
        self.register_buffer("limits", None if limits is None else torch.from_numpy(limits))
        self.calibration = calibration

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        *raw, region = inputs
        branch_maps = dict(zip(self.calibration.maps, raw, strict=True))
        decision = decide(self.calibration, branch_maps, region > 0.5, self._smoothed, torch, limits=self.limits)
        return *decision.maps.values(), decision.fused, decision.score

    def _smoothed(self, maps: Tensor) -> Tensor:
        return self.rows @ (maps @ self.columns)


def export_single(exported: Exported, out: Path) -> None:
    """The graphs of a package in float32, and its calibration, as one file; its golden part is compared.

    exported: of a job that kept its ONNX. Raises RecipeError for another, TRDError, with nothing written, where the
    file does not compute what the package does.
    """
    package = exported.package
    if package.facts.frame.tiles is not None:
        raise RecipeError("--single holds what the network sees at once, and this detector sees tiles: use the package")
    if package.manifest.precision != "fp32":
        raise RecipeError(
            f"--single is in float32, the package in {package.manifest.precision}: export with --precision fp32"
        )
    if exported.onnx.keys() != package.manifest.graphs.keys():
        raise RecipeError("the export kept no ONNX for a single file: ask for it (keep_onnx)")
    data = single_bytes(package, exported.onnx)
    _refuse_another(data, package)
    write_bytes(out, data)


def single_bytes(package: Package, graphs: Mapping[str, bytes]) -> bytes:
    facts = package.facts
    modalities, branches, size = tuple(facts.recipe.modalities), list(facts.calibration.maps), facts.frame.size
    raw, maps = [f"raw_{name}" for name in branches], [f"map_{name}" for name in branches]
    ends = (*maps, "fused_map", "score")
    decided = Decided(facts.calibration, size, _limits(facts))
    decided_form = GraphForm(decided, {**dict.fromkeys(raw, size), REGION: size}, ends, "score")
    # what steps call image.rgb and map.rgb is called so in the file
    public = {IMAGE + name: name for name in modalities} | {MAP + name: f"raw_{name}" for name in branches}
    steps = [
        Step(
            step.graph,
            {port: public.get(name, name) for port, name in step.inputs.items()},
            {port: public.get(name, name) for port, name in step.outputs.items()},
        )
        for step in package.manifest.steps
    ]
    decision_inputs = {name: name for name in (*raw, REGION)}
    steps.append(Step(DECISION, decision_inputs, {name: name for name in ends}))
    inputs: dict[str, tuple[int, ...]] = {**dict.fromkeys(modalities, (3, *size)), REGION: size}
    outputs: dict[str, tuple[int, ...]] = {**dict.fromkeys((*raw, *maps, "fused_map"), size), "score": ()}
    graphs = {step.graph: graphs[step.graph] for step in package.manifest.steps}  # without those on demand
    return joined({**graphs, DECISION: onnx_bytes(decided_form)}, steps, inputs, outputs, _metadata(package))


def _limits(facts: DetectorFacts) -> Limits:
    """Of a detector without regions that follow the part."""
    if not isinstance(facts.frame, Frame):  # with several views there are no regions
        return None
    return limit_map(facts.recipe.frame, Regions(facts.recipe.frame, facts.frame).places(None).named)


def _refuse_another(data: bytes, package: Package) -> None:
    """The golden part by the file and by the package."""
    import onnxruntime

    member = package.manifest.golden[0]
    golden = Golden.from_bytes(package.contents[member], member)
    detector = Detector.load(package.path, "cpu")
    part = detector.pipeline(golden.sample)
    (expected,) = detector.score([part])
    images = stacked_images([part])
    region = np.ones(expected.fused.shape, np.float32) if part.region is None else part.region.astype(np.float32)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    score, fused = session.run(["score", "fused_map"], {**images, REGION: region[None]})
    difference = float(np.abs(fused[0] - expected.fused).max())
    if not (difference <= LARGEST_MAP and abs(float(score[0]) - expected.score) <= LARGEST_SCORE):
        raise TRDError(
            f"the single file does not compute what the package does (its map of the golden part is {difference:.2g} "
            f"apart, {LARGEST_MAP:g} is allowed); it was not written"
        )


def _metadata(package: Package) -> Mapping[str, str]:
    facts, calibration = package.facts, package.facts.calibration
    properties = {
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
    return {f"trd.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in properties.items()}
