"""Maps of patch statistics: what they find, where they come from, and beside a network."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from fitting import fitted, maps

from trd.config import Recipe, load_recipe
from trd.detector import Detector
from trd.errors import CheckpointError
from trd.training.fit import fit_class
from trd.types import ClassFolder, PreparedSample

SIZE = 128
PLACE = (48, 84)  # row and column of what is planted
ACROSS, DOWN = np.meshgrid(np.arange(SIZE) - PLACE[1], np.arange(SIZE) - PLACE[0])


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("patch-statistics", [f"frame.size={SIZE}", "components=6"])


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


def test_a_faint_tint_and_a_shallow_dent_are_found_where_they_are(recipe: Recipe) -> None:
    state = fitted(recipe, part)
    plain = maps(recipe, state, part(100))
    tinted, dented = maps(recipe, state, part(100, tint=0.06)), maps(recipe, state, part(100, dent=0.25))
    for defective, name, other in (
        (tinted, "rgb_statistics", "normals_statistics"),
        (dented, "normals_statistics", "rgb_statistics"),
    ):
        assert defective[name].shape == (SIZE, SIZE)
        smooth, before = (cv2.GaussianBlur(values[name], (0, 0), 4) for values in (defective, plain))
        assert smooth.max() > 1.3 * before.max()
        row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
        assert np.hypot(row - PLACE[0], column - PLACE[1]) <= 16
        np.testing.assert_array_equal(defective[other], plain[other])


def test_the_recipes_seed_decides_it(recipe: Recipe) -> None:
    one, two = fitted(recipe, part), fitted(recipe, part)
    other = fitted(recipe.with_seed(recipe.seed + 1), part)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_only_scored_cells_are_learned_from(recipe: Recipe) -> None:
    region = np.zeros((SIZE, SIZE), bool)
    region[64:120, 32:96] = True

    def prepared(index: int, outside: float) -> PreparedSample:
        one = part(index)
        for image in one.images.values():
            image[:, :8] = outside  # farther from the region than any feature reaches
        return PreparedSample(one.id, "good", one.images, region, None, one.shape)

    states = [fitted(recipe, lambda i, v=v: prepared(i, v), 3) for v in (0.2, 0.9)]
    for name, values in states[0].items():
        np.testing.assert_allclose(values, states[1][name], rtol=1e-3, atol=1e-3)


def test_states_of_another_number_of_components_are_refused(recipe: Recipe) -> None:
    state = fitted(recipe, part)
    other = load_recipe("patch-statistics", [f"frame.size={SIZE}", "components=5"])
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        maps(other, state, part(0))


def test_a_lower_precision_changes_nothing(recipe: Recipe) -> None:
    state = fitted(recipe, part)
    plain, lower = maps(recipe, state, part(100)), maps(recipe, state, part(100), precision="bf16")
    for name, values in plain.items():
        np.testing.assert_array_equal(lower[name], values)


def test_saved_and_loaded_it_says_the_same(drawn: Path, tmp_path: Path) -> None:
    recipe = load_recipe("patch-statistics", ["frame.size=64", "components=4"])
    detector = fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path, "cpu")
    again = Detector.load(tmp_path, "cpu")
    images = {name: np.full((1, 3, 64, 64), 0.6, np.float32) for name in recipe.modalities}
    one, two = (some.engine.raw_maps(images) for some in (detector, again))
    assert one.keys() == two.keys() == {"rgb_statistics", "normals_statistics"}
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert again.calibration == detector.calibration
    assert again.calibration.fusion == "norm"


def test_beside_a_network_each_has_the_maps_that_it_has_alone(tmp_path: Path) -> None:
    both = load_recipe("lite-residual", [f"frame.size={SIZE}", "training.epochs=1", "precision=fp32", "components=6"])
    state = fitted(both, part, folder=tmp_path)
    network, statistics = (
        both.changed(f"evidence.{kind}=false") for kind in ("patch_statistics", "reverse_distillation")
    )
    assert both.branches == (*network.branches, *statistics.branches)
    together = maps(both, state, part(100))
    assert tuple(together) == both.branches
    for alone in (network, statistics):
        for name, values in maps(alone, state, part(100)).items():
            np.testing.assert_array_equal(together[name], values)
    for name, values in fitted(statistics, part).items():
        np.testing.assert_array_equal(state[name], values)
    without = {name: values for name, values in state.items() if not name.startswith("patch_statistics")}
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        maps(both, without, part(100))
