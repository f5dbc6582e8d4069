"""The default recipe: what it lists, and that its wide students, bank of turned copies and statistics work together."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trd.config import DEFAULT_RECIPE, Recipe, load_recipe
from trd.data.listing import list_class
from trd.data.loading import load_sample
from trd.detector import Detector
from trd.engines.base import Placement
from trd.engines.graphs import MAP
from trd.engines.pytorch.engine import PyTorchEngine
from trd.errors import RecipeError
from trd.evidence.detection import detector_engine
from trd.evidence.reverse_distillation.graphs import student_value
from trd.evidence.reverse_distillation.maps.cosine import cosine
from trd.evidence.reverse_distillation.network.student import Student
from trd.preprocess.turning import turned
from trd.stored import read_detector
from trd.teachers.frozen import level_value
from trd.training.fit import fit_class
from trd.types import ClassFolder, PreparedSample

SMALL = ["frame.size=64", "training.epochs=1", "training.batch_size=2", "precision=fp32", "scoring.stand_ins=false"]


@pytest.fixture(scope="module")
def default() -> Recipe:
    return load_recipe(DEFAULT_RECIPE, SMALL)


@pytest.fixture(scope="module")
def fitted(default: Recipe, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, Path]:
    folder = tmp_path_factory.mktemp("default") / "run"
    return fit_class(ClassFolder("biscuit", drawn / "biscuit"), default, folder, "cpu"), folder


def test_network_bank_and_statistics_decide_together(fitted: tuple[Detector, Path]) -> None:
    detector, folder = fitted
    branches = ["rgb", "normals", "rgb_bank", "normals_bank", "rgb_statistics", "normals_statistics"]
    assert list(detector.calibration.maps) == branches
    again = Detector.load(folder, "cpu")
    rgb = np.full((192, 192, 3), 90, np.uint8)
    xyz = np.dstack([*np.mgrid[:192, :192] * 1e-3, np.full((192, 192), 0.4)]).astype(np.float32)
    one, two = (made.predict({"rgb": rgb, "xyz": xyz}) for made in (detector, again))
    assert one.score == two.score
    assert set(one.share) == set(branches)
    assert sum(one.share.values()) == pytest.approx(1)
    # 4 validation parts are fewer than 39: two of the six training parts calibrate too, not more
    assert len(detector.calibration.good_scores) == 6


@pytest.mark.parametrize("weights", [(1, 2, 1), None])
def test_a_networks_map_is_the_weighted_sum_of_its_levels(
    weights: tuple[int, ...] | None, fitted: tuple[Detector, Path]
) -> None:
    """None: a folder of the time before levels had weights, which are equal then, as published."""
    facts, state = read_detector(fitted[1])
    tree = facts.recipe.model_dump(mode="json")
    section = tree["evidence"]["reverse_distillation"]
    assert section["level_weights"] == [1, 2, 1]
    if weights is None:
        del section["level_weights"]
    engine = detector_engine(Recipe.model_validate(tree), state, (64, 64), Placement("cpu"))
    assert isinstance(engine, PyTorchEngine)
    image = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    values = engine.values({"rgb": image, "normals": image})
    for name in ("rgb", "normals"):
        pairs = [(values[student_value(name, level)], values[level_value(name, level)]) for level in range(3)]
        sized = [F.interpolate(1 - cosine(*pair), (64, 64), mode="bilinear", align_corners=True) for pair in pairs]
        expected = sum(weight * level[:, 0] for weight, level in zip(weights or (1, 1, 1), sized, strict=True))
        torch.testing.assert_close(values[MAP + name], expected, rtol=1e-4, atol=1e-5)


def test_levels_without_any_weight_are_refused(default: Recipe) -> None:
    with pytest.raises(RecipeError, match="give one level a weight above 0"):
        default.changed("evidence.reverse_distillation.level_weights=[0,0,0]")


def test_wide_students_rebuild_the_teacher_in_its_own_channels() -> None:
    student = Student((24, 40, 112), widths=(64, 112, 192), use_filter=False, linear=True).eval()
    pyramid = tuple(torch.randn(1, c, 64 // s, 64 // s) for c, s in ((24, 4), (40, 8), (112, 16)))
    output = student(pyramid, pyramid)
    for name in ("amplified", "plain", "fused"):
        assert [level.shape for level in getattr(output, name)] == [level.shape for level in pyramid]
    for level, mix in enumerate(reversed(student.decoder.mixes)):  # coarse to fine
        share = mix.weight.softmax(dim=0)
        mixed = share[0] * output.plain[level] + share[1] * output.amplified[level]
        torch.testing.assert_close(output.fused[level], mixed, rtol=1e-3, atol=1e-3)
    assert (output.fused[0] < 0).any()


@pytest.mark.parametrize("axes", ["y_down", "y_up"])
def test_a_quarter_turn_is_that_of_the_picture_and_turns_vectors(axes: str) -> None:
    """As numpy turns: counterclockwise on the screen. A slope to the right then points up."""
    rng = np.random.default_rng(0)
    grey = rng.random((3, 8, 8), np.float32)
    vectors = np.broadcast_to(np.float32([0.9, 0.5, 0.7])[:, None, None], (3, 8, 8)).copy()
    part = PreparedSample("part", "good", {"rgb": grey, "normals": vectors}, np.eye(8, dtype=bool), None, (8, 8))
    quarter = turned(part, 90, {"normals": axes})
    np.testing.assert_allclose(quarter.images["rgb"], np.rot90(grey, 1, (1, 2)), atol=1e-5)
    assert (quarter.region == np.rot90(part.region)).all()
    up = 0.1 if axes == "y_down" else 0.9
    np.testing.assert_allclose(quarter.images["normals"][:, 4, 4], [0.5, up, 0.7], atol=1e-5)
    assert turned(part, 0, {}) is part


def test_a_bank_of_turned_copies_knows_turned_parts(drawn: Path, tmp_path: Path) -> None:
    place = ClassFolder("biscuit", drawn / "biscuit")
    small = ["frame.size=96", "scoring.stand_ins=false", "precision=fp32", "scoring.calibration_parts=validation"]
    scores = {}
    for name, turns in (("plain", "[]"), ("turned", "[-20.0, -10.0, 10.0, 20.0]")):
        recipe = load_recipe("lite-memory-bank", [*small, f"evidence.memory_bank.turned={turns}", "share=1"])
        detector = fit_class(place, recipe, tmp_path / name, "cpu")
        file = list_class(drawn, "biscuit", recipe.sources, recipe.point_cloud_sources).train[0]
        part = turned(detector.pipeline(load_sample(file, recipe.point_cloud_sources)), 20, recipe.vector_maps)
        scores[name] = float(detector.raw_maps([part])["rgb_bank"][0][part.region].mean())
    assert scores["turned"] < 0.9 * scores["plain"]


def test_balanced_levels_have_a_deviation_each(drawn: Path, tmp_path: Path) -> None:
    place, small = ClassFolder("biscuit", drawn / "biscuit"), ["frame.size=96", "scoring.stand_ins=false"]
    for balance, deviations in ((True, 2), (False, 1)):
        recipe = load_recipe("lite-memory-bank", [*small, f"evidence.memory_bank.balance={str(balance).lower()}"])
        fit_class(place, recipe, tmp_path / str(balance), "cpu")
        std = read_detector(tmp_path / str(balance))[1]["memory_bank.0.std"]
        assert len(np.unique(std)) == deviations
        assert len(np.unique(std[:40])) == len(np.unique(std[40:])) == 1  # 40 and 112 channels at strides 8 and 16
