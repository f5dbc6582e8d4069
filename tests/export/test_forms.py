"""The graphs of every evidence, exported, compute in another runtime what PyTorch's engine computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from fitting import fitted, maps, noise
from numpy.typing import NDArray

from trd.config import Recipe, load_recipe
from trd.engines.graphs import GraphForm, Graphs
from trd.engines.onnx import OnnxGraph
from trd.engines.pytorch.resampling import Resampled
from trd.engines.steps import Graph, StepEngine
from trd.evidence.detection import detector_graphs
from trd.export import graphs as exporter
from trd.preprocess.parts import stacked_images

SIZE = 64
EVIDENCE = ("reverse_distillation", "memory_bank", "patch_statistics", "crossmodal_mapping")


class TorchGraph:
    """The module itself, so that no exporter is needed."""

    def __init__(self, form: GraphForm) -> None:
        self.form = form

    @torch.no_grad()
    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        assert list(inputs) == list(self.form.inputs)
        given = self.form.module(*(torch.from_numpy(inputs[name]) for name in self.form.inputs))
        return dict(zip(self.form.outputs, (tensor.numpy() for tensor in given), strict=True))


def recipe_of(modalities: int, *kinds: str, weights: str = "random", **network: object) -> Recipe:
    """network: keys of reverse distillation that differ from the small recipe's."""
    values = load_recipe("lite-residual").model_dump()
    values["modalities"] = {f"lamp_{i}": {"representation": "image", "source": f"lamp_{i}"} for i in range(modalities)}
    values["frame"] |= {"size": SIZE, "crop": "none"}
    values["scoring"] |= {"region": "frame", "stand_ins": False}
    values |= {"precision": "fp32", "teacher": {"weights": weights}}
    short = {"training": {"epochs": 1, "batch_size": 2}}
    own = values["evidence"]["reverse_distillation"]
    own["student"] |= {"filter": True} | network.pop("student", {})
    own["training"] |= short["training"]
    values["evidence"] = {"reverse_distillation": own | network, "crossmodal_mapping": short}
    values["evidence"] = {kind: values["evidence"].get(kind, {}) for kind in kinds}
    return Recipe.model_validate(values)


CASES = {
    "one": recipe_of(1, *EVIDENCE[:3]),
    "two": recipe_of(2, *EVIDENCE),
    "three": recipe_of(3, *EVIDENCE),
    "four": recipe_of(4, *EVIDENCE),
    "joint teacher": recipe_of(2, EVIDENCE[0], student={"branches": "joint"}),
    "without filter": recipe_of(2, EVIDENCE[0], student={"filter": False}),
    "cosine": recipe_of(2, EVIDENCE[0], distance="cosine", standardize=False),
    "wider students": recipe_of(2, EVIDENCE[0], student={"widths": (32, 48, 120)}),
}


def assert_same(recipe: Recipe, folder: Path, graph_of: Callable[[GraphForm], Graph], *counts: int) -> Graphs:
    """The maps of these many parts at once by the steps as by PyTorch's engine."""
    state = fitted(recipe, lambda number: noise(recipe, number), folder=folder)
    graphs = detector_graphs(recipe, state, (SIZE, SIZE))
    ready = {name: graph_of(form) for name, form in graphs.graphs.items()}
    runs = [ready[step.graph] for step in graphs.steps]
    engine = StepEngine(runs, graphs.steps, device="cpu", precision="fp32", form="test", one_by_one=False)
    for count in counts:
        parts = [noise(recipe, 100 + number) for number in range(count)]
        expected = maps(recipe, state, *parts)
        values = engine.raw_maps(stacked_images(parts))
        assert list(values) == list(expected) == list(recipe.branches)
        for name, theirs in expected.items():
            wrong = np.abs(values[name].reshape(theirs.shape) - theirs) > 2e-3 * theirs.std()
            assert wrong.mean() < (0.01 if "statistics" in name else 1e-9), name
    return graphs


@pytest.mark.parametrize("case", CASES)
def test_the_steps_compute_what_the_engine_does(case: str, tmp_path: Path) -> None:
    assert_same(CASES[case], tmp_path, TorchGraph, 3)


def test_all_evidence_together_runs_in_a_runtime(tmp_path: Path) -> None:
    """Batches of one and of three. The second modality has the same graphs with other numbers: PyTorch computes it, and
    the statistics, whose packages are compared with the detector elsewhere."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    exported = set[str]()

    def ready(form: GraphForm) -> Graph:
        structure = repr((type(form.module), form.inputs, form.outputs))
        if structure in exported or "statistics" in structure:
            return TorchGraph(form)
        exported.add(structure)
        return OnnxGraph(exporter.onnx_bytes(form), "cpu", 1, "a graph")

    recipe = recipe_of(2, *EVIDENCE, weights="auto")  # the teacher is exported for other tests too
    graphs = assert_same(recipe, tmp_path, ready, 1, 3)
    assert [step.graph for step in graphs.steps].count("teacher") == 2
    assert sum(form.role == "teacher" for form in graphs.graphs.values()) == 1


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("sizes", [((4, 5), (16, 20)), ((7, 3), (7, 9)), ((1, 6), (5, 6)), ((20, 20), (320, 320))])
def test_resampling_by_products_is_bilinear(
    sizes: tuple[tuple[int, int], tuple[int, int]], align_corners: bool
) -> None:
    before, after = sizes
    x = torch.randn(2, 3, *before)
    expected = torch.nn.functional.interpolate(x, size=after, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(Resampled(before, after, align_corners)(x), expected, rtol=1e-4, atol=1e-5)
