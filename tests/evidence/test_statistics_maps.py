"""Maps of patch statistics: what they find, where they come from, and beside a network."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from trd.evidence.reverse_distillation.engine import STATISTICS, state_of
from trd.evidence.reverse_distillation.maps.scorer import build_scorer

from trd.config import Recipe, load_recipe
from trd.detector import Detector
from trd.engines.base import Placement
from trd.errors import CheckpointError
from trd.evidence.base import FitJob
from trd.evidence.patch_statistics import METHOD
from trd.evidence.patch_statistics.maps import StatisticsMaps
from trd.evidence.reverse_distillation import METHOD as TRD
from trd.evidence.reverse_distillation.network.network import build_network
from trd.preprocess.parts import PreparedParts
from trd.training.fit import fit_class
from trd.types import ClassFolder, PreparedSample, State

SIZE = 128
PLACE = (48, 84)  # row and column of what is planted
ACROSS, DOWN = np.meshgrid(np.arange(SIZE) - PLACE[1], np.arange(SIZE) - PLACE[0])


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("patch-statistics", [f"frame.size={SIZE}", "method.components=6"])


def part(seed: int, tint: float = 0.0, dent: float = 0.0) -> PreparedSample:
    """A speckled, slightly uneven plate; a wide faint tint in its colour, a shallow dent in its surface."""
    rng = np.random.default_rng(seed)
    wide = np.exp(-(ACROSS**2 + DOWN**2) / (2 * 14**2))
    colour = 0.5 + 0.05 * rng.normal(size=(3, SIZE, SIZE)) - tint * np.array([0, 0.3, 1])[:, None, None] * wide
    uneven = [cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)), (0, 0), 3) / 2 for _ in range(2)]
    narrow = dent * np.exp(-(ACROSS**2 + DOWN**2) / (2 * 7**2)) / 7
    slopes = np.stack([0.3 * uneven[0] - narrow * ACROSS, 0.3 * uneven[1] - narrow * DOWN, np.ones((SIZE, SIZE))])
    normals = (slopes / np.linalg.norm(slopes, axis=0) + 1) / 2
    images = {"rgb": colour.clip(0, 1).astype(np.float32), "normals": normals.astype(np.float32)}
    return PreparedSample(f"part-{seed}", "good", images, None, None, (SIZE, SIZE))


def fitted(recipe: Recipe, folder: Path) -> State:
    return METHOD.fit(FitJob(recipe, "plates", PreparedParts(6, part), None, folder, device="cpu"))


def maps(recipe: Recipe, state: State, one: PreparedSample, method=METHOD) -> dict[str, np.ndarray]:
    engine = method.engine(recipe, state, Placement("cpu"))
    found = engine.raw_maps({name: image[None] for name, image in one.images.items()})
    return {name: values[0] for name, values in found.items()}


def test_a_faint_tint_and_a_shallow_dent_are_found_where_they_are(recipe: Recipe, tmp_path: Path) -> None:
    state = fitted(recipe, tmp_path)
    plain = maps(recipe, state, part(100))
    tinted, dented = maps(recipe, state, part(100, tint=0.06)), maps(recipe, state, part(100, dent=0.25))
    for defective, name, other in ((tinted, "rgb", "normals"), (dented, "normals", "rgb")):
        assert defective[name].shape == (SIZE, SIZE)
        smooth, before = (cv2.GaussianBlur(found[name], (0, 0), 4) for found in (defective, plain))
        assert smooth.max() > 1.3 * before.max()
        row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
        assert np.hypot(row - PLACE[0], column - PLACE[1]) <= 16
        np.testing.assert_array_equal(defective[other], plain[other])


def test_the_recipes_seed_decides_it(recipe: Recipe, tmp_path: Path) -> None:
    one, two = fitted(recipe, tmp_path), fitted(recipe, tmp_path)
    other = fitted(recipe.model_copy(update={"seed": recipe.seed + 1}), tmp_path)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_only_scored_cells_are_learned_from(recipe: Recipe, tmp_path: Path) -> None:
    region = np.zeros((SIZE, SIZE), bool)
    region[64:120, 32:96] = True

    def prepared(index: int, outside: float) -> PreparedSample:
        one = part(index)
        for image in one.images.values():
            image[:, :8] = outside  # farther from the region than any feature reaches
        return PreparedSample(one.id, "good", one.images, region, None, one.shape)

    states = [
        METHOD.fit(FitJob(recipe, "", PreparedParts(3, lambda i, v=v: prepared(i, v)), None, tmp_path, device="cpu"))
        for v in (0.2, 0.9)
    ]
    for name, values in states[0].items():
        np.testing.assert_allclose(values, states[1][name], rtol=1e-3, atol=1e-3)


def test_states_of_another_number_of_components_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    state = fitted(recipe, tmp_path)
    other = load_recipe("patch-statistics", [f"frame.size={SIZE}", "method.components=5"])
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        METHOD.engine(other, state, Placement("cpu"))


def test_autocast_changes_nothing(recipe: Recipe, tmp_path: Path) -> None:
    module = METHOD.engine(recipe, fitted(recipe, tmp_path), Placement("cpu")).module
    images = {name: torch.from_numpy(image)[None] for name, image in part(100).images.items()}
    with torch.inference_mode():
        plain = module(images)
        with torch.autocast("cpu", torch.bfloat16):
            again = module(images)
    for name, values in plain.items():
        assert again[name].dtype == torch.float32
        assert torch.equal(again[name], values)


def test_saved_and_loaded_it_says_the_same(drawn: Path, tmp_path: Path) -> None:
    recipe = load_recipe("patch-statistics", ["frame.size=64", "method.components=4"])
    detector = fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, "cpu")
    again = Detector.load(tmp_path, "cpu")
    images = {name: np.full((1, 3, 64, 64), 0.6, np.float32) for name in recipe.modalities}
    one, two = (some.engine.raw_maps(images) for some in (detector, again))
    assert one.keys() == two.keys() == {"rgb", "normals"}
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert again.calibration == detector.calibration
    assert again.calibration.fusion == "norm"


def test_further_branches_of_a_network_leave_its_own_maps_alone(tmp_path: Path) -> None:
    own_maps = ["frame.size=128", "method.distance=cosine", "training.loss=cosine", "training.precision=fp32"]
    recipe, alone = (load_recipe("lite-rgb-normals", [*own_maps, f"method.statistics.components={k}"]) for k in (6, 0))
    assert recipe.branches == ("rgb", "normals", "rgb_statistics", "normals_statistics")
    assert alone.branches == ("rgb", "normals")
    torch.manual_seed(0)
    network = build_network(recipe, load_teacher=False)
    of_network = state_of(network, build_scorer(recipe, network.teacher.channels))
    of_statistics = fitted(load_recipe("patch-statistics", [f"frame.size={SIZE}", "method.components=6"]), tmp_path)
    state = {**of_network, **{STATISTICS + name: values for name, values in of_statistics.items()}}
    both, own = maps(recipe, state, part(100), TRD), maps(alone, state, part(100), TRD)
    assert tuple(both) == recipe.branches
    assert tuple(own) == alone.branches
    for name, values in own.items():
        np.testing.assert_array_equal(both[name], values)
    module = StatisticsMaps(recipe, 6)
    module.load_state_dict({name: torch.from_numpy(values) for name, values in of_statistics.items()})
    images = {name: torch.from_numpy(image)[None] for name, image in part(100).images.items()}
    for name, values in module(images).items():
        np.testing.assert_allclose(both[f"{name}_statistics"], values[0].numpy(), atol=1e-5)
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        TRD.engine(recipe, of_network, Placement("cpu"))
