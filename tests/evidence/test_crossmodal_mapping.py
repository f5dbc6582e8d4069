"""The crossmodal mapping: a broken correspondence is found, and a whole run works with it."""

from pathlib import Path

import numpy as np
import pytest
from fitting import fitted, maps

import trd
from trd.config import Recipe, load_recipe
from trd.errors import CheckpointError, RecipeError
from trd.runs import Run
from trd.types import PreparedSample, State

BLOCK, SIDE = 32, 4
SIZE = BLOCK * SIDE
RECIPE = "lite-crossmodal-mapping"
WEIGHT = "crossmodal_mapping.mappings.{}.0.weight"
SET = (f"frame.size={SIZE}", "training.epochs=25", "training.batch_size=2", "training.cells=256")


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe(RECIPE, SET)


def pictured(kinds: np.ndarray, shades: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """(3, h, w): a shade per block, and noise."""
    plain = np.kron(np.where(kinds, *shades), np.ones((BLOCK, BLOCK)))
    return (plain + rng.normal(0, 0.02, (3, SIZE, SIZE))).clip(0, 1).astype(np.float32)


def part(seed: int, broken: bool = False) -> PreparedSample:
    """Blocks of two kinds at random places: dark ones are steep, bright ones flat; in a broken part one is not."""
    rng = np.random.default_rng(seed)
    kinds = rng.random((SIDE, SIDE)) < 0.5
    rgb = pictured(kinds, (0.1, 0.9), rng)
    if broken:
        kinds[1, 2] = ~kinds[1, 2]
    images = {"rgb": rgb, "normals": pictured(kinds, (0.8, 0.3), rng)}
    return PreparedSample(f"part-{seed}", "good", images, None, None, (SIZE, SIZE))


def map_of(recipe: Recipe, state: State, one: PreparedSample, precision: str = "fp32") -> np.ndarray:
    values = maps(recipe, state, one, precision=precision)
    assert set(values) == {"mapping"}
    assert values["mapping"].shape == (SIZE, SIZE)
    return values["mapping"]


def test_a_block_that_is_usual_in_each_modality_and_in_no_part_of_both(recipe: Recipe) -> None:
    state = fitted(recipe, part, 12)
    inside = (slice(BLOCK, 2 * BLOCK), slice(2 * BLOCK, 3 * BLOCK))
    for seed in (100, 101):
        whole, broken = map_of(recipe, state, part(seed)), map_of(recipe, state, part(seed, broken=True))
        assert broken[inside].mean() > 2 * whole[inside].mean()
        assert broken[inside].mean() > 2 * np.median(broken)
    rough = map_of(recipe, state, part(101, broken=True), "bf16")
    assert np.corrcoef(rough.ravel(), broken.ravel())[0, 1] > 0.99


def test_the_seed_decides_and_the_memory_does_not() -> None:
    short = [*SET, "training.epochs=2"]
    one = fitted(load_recipe(RECIPE, short), part, 5)
    anew = fitted(load_recipe(RECIPE, [*short, "training.feature_memory=0"]), part, 5)
    other = fitted(load_recipe(RECIPE, [*short, "seed=1"]), part, 5)
    assert one.keys() == anew.keys()
    assert all(np.array_equal(one[name], anew[name]) for name in one)
    assert not np.array_equal(one[WEIGHT.format(0)], other[WEIGHT.format(0)])


def test_three_modalities_each_from_the_two_others() -> None:
    extra = "modalities.depth={representation='depth_image', source='xyz'}"
    three = load_recipe(RECIPE, [*SET, "training.epochs=1", extra])
    parts = [part(seed) for seed in range(2)]
    for one in parts:
        one.images["depth"] = one.images["rgb"][::-1].copy()
    state = fitted(three, parts.__getitem__, 2)
    assert state[WEIGHT.format(2)].shape == (264, 352)
    assert map_of(three, state, parts[0]).min() >= 0


def test_what_it_cannot_work_with(recipe: Recipe, tmp_path: Path) -> None:
    one = tmp_path / "one.toml"
    one.write_text('name = "one"\n[modalities.rgb]\nrepresentation = "image"\n[evidence.crossmodal_mapping]\n')
    with pytest.raises(RecipeError, match="needs two or more"):
        load_recipe(one)
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        maps(recipe, {}, part(0))


def test_a_whole_run(drawn: Path, tmp_path: Path) -> None:
    short = ["frame.size=64", "training.epochs=2", "scoring.calibration=cross", "scoring.folds=2"]
    run = Run.open(drawn, tmp_path / "run", load_recipe(RECIPE, short), None)
    metrics = run.train_and_evaluate("cpu")["biscuit"]
    run.raise_failures()
    assert set(metrics["maps"]) == {"fused", "mapping"}
    detector = trd.Detector.load(tmp_path / "run", "cpu")
    assert len(detector.calibration.good_scores) == 10
    rgb = np.full((192, 192, 3), 90, np.uint8)
    xyz = np.dstack([*np.mgrid[:192, :192] * 1e-3, np.full((192, 192), 0.4)]).astype(np.float32)
    assert set(detector.predict({"rgb": rgb, "xyz": xyz}).modality_maps) == {"mapping"}
