"""The memory bank: what it finds, keeps and refuses, and that a whole run works with it."""

from pathlib import Path

import numpy as np
import pytest

import trd
from trd.config import Recipe, load_recipe
from trd.engines.base import Placement
from trd.errors import CheckpointError, RecipeError
from trd.evidence.base import FitJob
from trd.evidence.memory_bank import METHOD
from trd.preprocess.parts import PreparedParts
from trd.runs import Run
from trd.types import PreparedSample, State

SIZE = 128


@pytest.fixture
def bank() -> Recipe:
    return load_recipe("lite-memory-bank", ["frame.size=128"])


def part(seed: int, region: np.ndarray | None = None) -> PreparedSample:
    """Grey noise, the same kind on every part."""
    rng = np.random.default_rng(seed)
    images = {n: rng.uniform(0.4, 0.6, (3, SIZE, SIZE)).astype(np.float32) for n in ("rgb", "normals")}
    return PreparedSample(f"part-{seed}", "good", images, region, None, (SIZE, SIZE))


def job(recipe: Recipe, folder: Path, count: int = 6, region: np.ndarray | None = None) -> FitJob:
    parts = PreparedParts(count, lambda index: part(index, region))
    return FitJob(recipe, "noise", parts, None, folder, device="cpu")


def maps(recipe: Recipe, state: State, one: PreparedSample, precision: str | None = None) -> dict[str, np.ndarray]:
    engine = METHOD.engine(recipe, state, Placement("cpu", precision))
    return {name: m[0] for name, m in engine.raw_maps({n: i[None] for n, i in one.images.items()}).items()}


def test_a_spot_is_found_where_it_is_and_in_its_modality(bank: Recipe, tmp_path: Path) -> None:
    state = METHOD.fit(job(bank, tmp_path))
    spotted = part(100)
    plain = maps(bank, state, spotted)
    spotted.images["normals"][:, 40:60, 80:100] = 1
    found = maps(bank, state, spotted)
    assert found["normals"].shape == (SIZE, SIZE)
    assert found["normals"].max() > 1.5 * plain["normals"].max()
    row, column = np.unravel_index(found["normals"].argmax(), (SIZE, SIZE))
    assert abs(row - 50) <= 12
    assert abs(column - 90) <= 12
    np.testing.assert_allclose(found["rgb"], plain["rgb"], rtol=1e-4, atol=1e-4)
    rough = maps(bank, state, spotted, "bf16")
    assert 0.95 < rough["normals"].max() / found["normals"].max() < 1.05


def test_the_seed_decides_what_the_bank_holds(bank: Recipe, tmp_path: Path) -> None:
    one, two = METHOD.fit(job(bank, tmp_path)), METHOD.fit(job(bank, tmp_path))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    other = METHOD.fit(job(bank.model_copy(update={"seed": 1}), tmp_path))
    assert not np.array_equal(one["banks.of_rgb.entries"], other["banks.of_rgb.entries"])


def test_share_cap_and_region_bound_the_bank(bank: Recipe, tmp_path: Path) -> None:
    cells = 6 * (SIZE // 8) ** 2
    assert METHOD.fit(job(bank, tmp_path))["banks.of_rgb.entries"].shape == (-(-cells // 10), 152)
    few = load_recipe("lite-memory-bank", ["frame.size=128", "method.share=0.5", "method.entries=20"])
    assert len(METHOD.fit(job(few, tmp_path))["banks.of_rgb.entries"]) == 20
    region = np.zeros((SIZE, SIZE), bool)
    region[:32, :30] = True  # 4 x 4 cells, the last column of them partly
    every = load_recipe("lite-memory-bank", ["frame.size=128", "method.share=1"])
    assert len(METHOD.fit(job(every, tmp_path, region=region))["banks.of_rgb.entries"]) == 6 * 16


def test_with_every_cell_kept_a_training_part_is_at_no_distance(bank: Recipe, tmp_path: Path) -> None:
    every = load_recipe("lite-memory-bank", ["frame.size=128", "method.share=1"])
    state = METHOD.fit(job(every, tmp_path))
    again = maps(every, state, part(3))
    assert max(m.max() for m in again.values()) < 1e-2 * maps(every, state, part(100))["rgb"].mean()


def test_a_state_of_another_recipe_is_refused(bank: Recipe, tmp_path: Path) -> None:
    state = METHOD.fit(job(bank, tmp_path))
    fine = load_recipe("lite-memory-bank", ["frame.size=128", "method.strides=[4, 8]"])
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        METHOD.engine(fine, state, Placement("cpu"))
    del state["banks.of_rgb.entries"]
    with pytest.raises(CheckpointError, match="of_rgb"):
        METHOD.engine(bank, state, Placement("cpu"))
    with pytest.raises(RecipeError, match="fine to coarse"):
        load_recipe("lite-memory-bank", ["method.strides=[16, 8]"])
    with pytest.raises(RecipeError, match="no ablation"):
        METHOD.variants(bank)


def test_a_whole_run(drawn: Path, tmp_path: Path) -> None:
    recipe = load_recipe("lite-memory-bank", ["frame.size=96", "scoring.calibration=cross", "scoring.folds=2"])
    run = Run.open(drawn, tmp_path / "run", recipe, None)
    metrics = run.train_and_evaluate("cpu")["biscuit"]
    run.raise_failures()
    assert set(metrics["maps"]) == {"fused", "rgb", "normals"}
    assert metrics["maps"]["fused"]["pixel_auroc"] > 0.6
    detector = trd.Detector.load(tmp_path / "run", "cpu")
    assert detector.calibration.kind == "cross"
    assert len(detector.calibration.good_scores) == 10
    rgb = np.full((192, 192, 3), 90, np.uint8)
    xyz = np.dstack([*np.mgrid[:192, :192] * 1e-3, np.full((192, 192), 0.4)]).astype(np.float32)
    assert np.isfinite(detector.predict({"rgb": rgb, "xyz": xyz}).map).all()
