"""The memory bank: what it finds, keeps and refuses, and that a whole run works with it."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fitting import fitted, maps

import trd
from trd.config import Recipe, load_recipe
from trd.errors import CheckpointError, RecipeError
from trd.runs import Run
from trd.types import PreparedSample

SIZE = 128
PLAIN = (f"frame.size={SIZE}", "evidence.memory_bank.turned=[]")  # copies have tests with the default recipe
ENTRIES = "memory_bank.0.entries"  # of colour, the first modality


@pytest.fixture
def bank() -> Recipe:
    return load_recipe("lite-memory-bank", [*PLAIN])


def part(seed: int, region: np.ndarray | None = None) -> PreparedSample:
    """Grey noise, the same kind on every part."""
    rng = np.random.default_rng(seed)
    images = {n: rng.uniform(0.4, 0.6, (3, SIZE, SIZE)).astype(np.float32) for n in ("rgb", "normals")}
    return PreparedSample(f"part-{seed}", "good", images, region, None, (SIZE, SIZE))


def test_a_spot_is_found_where_it_is_and_in_its_modality(bank: Recipe) -> None:
    state = fitted(bank, part)
    spotted = part(100)
    plain = maps(bank, state, spotted)
    spotted.images["normals"][:, 40:60, 80:100] = 1
    spot = maps(bank, state, spotted)
    assert spot["normals_bank"].shape == (SIZE, SIZE)
    assert spot["normals_bank"].max() > 1.5 * plain["normals_bank"].max()
    row, column = np.unravel_index(spot["normals_bank"].argmax(), (SIZE, SIZE))
    assert abs(row - 50) <= 12
    assert abs(column - 90) <= 12
    np.testing.assert_allclose(spot["rgb_bank"], plain["rgb_bank"], rtol=1e-4, atol=1e-4)
    rough = maps(bank, state, spotted, precision="bf16")
    assert 0.95 < rough["normals_bank"].max() / spot["normals_bank"].max() < 1.05


def test_the_seed_decides_what_the_bank_holds(bank: Recipe) -> None:
    one, two = fitted(bank, part), fitted(bank, part)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    other = fitted(bank.with_seed(1), part)
    assert not np.array_equal(one[ENTRIES], other[ENTRIES])


def test_share_cap_and_region_bound_the_bank(bank: Recipe) -> None:
    cells = 6 * (SIZE // 8) ** 2
    assert fitted(bank, part)[ENTRIES].shape == (-(-cells // 10), 152)
    few = load_recipe("lite-memory-bank", [*PLAIN, "share=0.5", "entries=20"])
    assert len(fitted(few, part)[ENTRIES]) == 20
    region = np.zeros((SIZE, SIZE), bool)
    region[:32, :30] = True  # 4 x 4 cells, the last column of them partly
    every = load_recipe("lite-memory-bank", [*PLAIN, "share=1"])
    assert len(fitted(every, partial(part, region=region))[ENTRIES]) == 6 * 16


def test_with_every_cell_kept_a_training_part_is_at_no_distance() -> None:
    every = load_recipe("lite-memory-bank", [*PLAIN, "share=1"])
    state = fitted(every, part)
    again = maps(every, state, part(3))
    assert max(m.max() for m in again.values()) < 1e-2 * maps(every, state, part(100))["rgb_bank"].mean()


def test_a_state_of_another_recipe_is_refused(bank: Recipe) -> None:
    state = fitted(bank, part)
    fine = load_recipe("lite-memory-bank", [*PLAIN, "strides=[4, 8]"])
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        maps(fine, state, part(0))
    del state[ENTRIES]
    with pytest.raises(CheckpointError, match="Missing key.*entries"):
        maps(bank, state, part(0))
    with pytest.raises(RecipeError, match="fine to coarse"):
        load_recipe("lite-memory-bank", ["strides=[16, 8]"])


def test_a_whole_run(drawn: Path, tmp_path: Path) -> None:
    recipe = load_recipe("lite-memory-bank", ["frame.size=96", "scoring.calibration=cross", "scoring.folds=2"])
    run = Run.open(drawn, tmp_path / "run", recipe, None)
    metrics = run.train_and_evaluate("cpu")["biscuit"]
    run.raise_failures()
    assert set(metrics["maps"]) == {"fused", "rgb_bank", "normals_bank"}
    assert metrics["maps"]["fused"]["pixel_auroc"] > 0.6
    detector = trd.Detector.load(tmp_path / "run", "cpu")
    assert detector.calibration.kind == "cross"
    assert len(detector.calibration.good_scores) == 10
    rgb = np.full((192, 192, 3), 90, np.uint8)
    xyz = np.dstack([*np.mgrid[:192, :192] * 1e-3, np.full((192, 192), 0.4)]).astype(np.float32)
    assert np.isfinite(detector.predict({"rgb": rgb, "xyz": xyz}).map).all()
