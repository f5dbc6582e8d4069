"""The graphs of every method compute what its engine computes, for any number of modalities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from trd.engines.pytorch.exportable import Resampled
from trd.evidence.exportable import Exportable, ExportForm, GraphForm
from trd.registry import find_method

from trd.config import Recipe, load_recipe
from trd.engines.base import Placement
from trd.engines.onnx import OnnxGraph
from trd.engines.steps import StepEngine
from trd.evidence.base import FitJob
from trd.export import graphs as exporter
from trd.preprocess.parts import PreparedParts
from trd.types import PreparedSample

SIZE = 64


class TorchGraph:
    """`trd.engines.steps.Graph` of the module itself, so that no exporter is needed."""

    def __init__(self, form: GraphForm) -> None:
        self.form = form

    @torch.no_grad()
    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        assert list(inputs) == list(self.form.inputs)
        given = self.form.module(*(torch.from_numpy(inputs[name]) for name in self.form.inputs))
        return dict(zip(self.form.outputs, (tensor.numpy() for tensor in given), strict=True))


def steps_of(form: ExportForm, graphs: Mapping[str, Any]) -> StepEngine:
    ready = [graphs[step.graph] for step in form.steps]
    return StepEngine(ready, form.steps, device="cpu", precision="fp32", form="test", one_by_one=False)


def images(recipe: Recipe, count: int, seed: int) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    return {name: random.random((count, 3, SIZE, SIZE), np.float32) for name in recipe.modalities}


def parts(recipe: Recipe) -> PreparedParts:
    stacks = images(recipe, 6, 1)
    made = [
        PreparedSample(str(i), "good", {n: stack[i] for n, stack in stacks.items()}, None, None, (SIZE, SIZE))
        for i in range(6)
    ]
    return PreparedParts(len(made), made.__getitem__)


def recipe_of(name: str, modalities: int, *overrides: str) -> Recipe:
    values = load_recipe(name).model_dump()
    values["modalities"] = {f"lamp_{i}": {"representation": "image", "source": f"lamp_{i}"} for i in range(modalities)}
    values["frame"] |= {"size": SIZE, "crop": "none"}
    values["scoring"] |= {"region": "frame", "stand_ins": False}
    method = values["method"]
    if "training" in method:
        method["training"] |= {"epochs": 1, "batch_size": 2, "precision": "fp32"}
    if "teacher" in method:
        method["teacher"] |= {"weights": "random"}
    for override in overrides:
        path, _, value = override.partition("=")
        *above, key = path.split(".")
        place: Any = values
        for step in above:
            place = place[step]
        place[key] = {"true": True, "false": False}.get(value, value)
    return Recipe.model_validate(values)


CASES = {
    "one": recipe_of("lite-rgb-normals", 1, "method.student.filter=true"),
    "two": recipe_of("lite-rgb-normals", 2),
    "two with filter": recipe_of("lite-rgb-normals", 2, "method.student.filter=true"),
    "three": recipe_of("lite-rgb-normals", 3),
    "four": recipe_of("lite-rgb-normals", 4),
    "joint teacher": recipe_of("lite-rgb-normals", 2, "method.student.filter=true", "method.student.branches=joint"),
    "cosine": recipe_of("lite-rgb-normals", 2, "method.distance=cosine"),
    "memory bank": recipe_of("lite-memory-bank", 2),
    "mapping": recipe_of("lite-crossmodal-mapping", 3),
    "statistics": recipe_of("patch-statistics", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_graphs_compute_what_the_engine_computes(case: str, tmp_path: Path) -> None:
    recipe = CASES[case]
    method = find_method(recipe.method.name)
    good = parts(recipe)
    state = method.fit(FitJob(recipe, case, good, good, tmp_path, "cpu"))
    engine = method.engine(recipe, state, Placement("cpu", "fp32"))
    form = cast(Exportable, method).export_form(recipe, state, (SIZE, SIZE))
    seen = images(recipe, 3, 2)
    expected = engine.raw_maps(seen)
    found = steps_of(form, {name: TorchGraph(graph) for name, graph in form.graphs.items()}).raw_maps(seen)
    assert list(found) == list(expected)
    for name in expected:
        unit = expected[name].std()
        wrong = np.abs(found[name] - expected[name]) > 2e-3 * unit
        assert wrong.mean() < (0.01 if "statistics" in name or case == "statistics" else 1e-9), name


# of patch statistics whole packages are made elsewhere
@pytest.mark.parametrize(("name", "modalities"), [("lite-memory-bank", 1), ("lite-crossmodal-mapping", 2)])
def test_graphs_of_other_methods_run_in_a_runtime(name: str, modalities: int, tmp_path: Path) -> None:
    # further modalities have the same graphs with other numbers; the teacher's is exported for other tests too
    recipe = recipe_of(name, modalities, "method.teacher.weights=auto")
    method = find_method(recipe.method.name)
    good = parts(recipe)
    state = method.fit(FitJob(recipe, name, good, good, tmp_path, "cpu"))
    form = cast(Exportable, method).export_form(recipe, state, (SIZE, SIZE))
    seen = images(recipe, 3, 2)
    expected = method.engine(recipe, state, Placement("cpu", "fp32")).raw_maps(seen)
    graphs = {key: OnnxGraph(exporter.onnx_bytes(graph), "cpu", 1, key) for key, graph in form.graphs.items()}
    for branch, values in steps_of(form, graphs).raw_maps(seen).items():
        assert np.abs(values - expected[branch]).max() < 2e-3 * expected[branch].std(), branch


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("sizes", [((4, 5), (16, 20)), ((7, 3), (7, 9)), ((1, 6), (5, 6)), ((20, 20), (320, 320))])
def test_resampling_by_products_is_bilinear(
    sizes: tuple[tuple[int, int], tuple[int, int]], align_corners: bool
) -> None:
    before, after = sizes
    x = torch.randn(2, 3, *before)
    expected = torch.nn.functional.interpolate(x, size=after, mode="bilinear", align_corners=align_corners)
    torch.testing.assert_close(Resampled(before, after, align_corners)(x), expected, rtol=1e-4, atol=1e-5)
