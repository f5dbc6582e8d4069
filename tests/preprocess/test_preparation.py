"""Preparation in several threads gives what one thread gives, to the bit, and slopes are those of plain fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from trd.config import load_recipe
from trd.preprocess import normals as normals_module
from trd.preprocess import plane_fits
from trd.preprocess.foreground import border_plane, height_over_plane
from trd.preprocess.normals import SurfaceNormals, surface_normals_image, surface_slopes
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.threads import in_threads
from trd.types import PreparedSample, Sample


def dome(number: int, height: int = 310, width: int = 277, missing: float = 0.05, tilt: float = 0.08) -> Sample:
    """A dome on a tilted table: noise, points missing one by one, in a large hole and at a frame's edge."""
    rng = np.random.default_rng(number)
    rows, columns = (0.0005 * (np.indices((height, width)) - np.array([height / 2, width / 2])[:, None, None])).tolist()
    y, x = np.array(rows), np.array(columns)
    top = np.sqrt(np.clip(0.04**2 - x**2 - (y - 0.002 * number) ** 2, 0, None)) / 2
    z = 0.5 + tilt * x - 0.03 * y - top + rng.normal(0, 4e-5, x.shape)
    xyz = np.dstack([x * z / 0.5, y * z / 0.5, z]).astype(np.float32)
    xyz[rng.random(x.shape) < missing] = 0
    xyz[height // 2 : height // 2 + 30, width // 2 : width // 2 + 25] = 0
    xyz[: height // 3, -2:] = 0
    return Sample(f"dome {number}", {"rgb": rng.integers(0, 256, (*x.shape, 3), dtype=np.uint8), "xyz": xyz}, "good")


DOMES = [dome(number) for number in range(5)]
RECIPE = load_recipe("lite-residual", ["frame.size=160"])


def by_one_thread(pipeline: Pipeline, samples: Sequence[Sample]) -> list[PreparedSample]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        return [pipeline(sample) for sample in samples]


@pytest.fixture(params=["2", "3"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    return str(request.param)


def assert_same(ours: PreparedSample, expected: PreparedSample) -> None:
    assert list(ours.images) == list(expected.images)
    for name, image in ours.images.items():
        assert image.dtype == np.float32
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, expected.images[name])
    assert (ours.region is None) == (expected.region is None)
    if ours.region is not None:
        np.testing.assert_array_equal(ours.region, expected.region)
    assert (ours.id, ours.shape, ours.notes) == (expected.id, expected.shape, expected.notes)


def odd_ones() -> list[Sample]:
    """Another size, another distance, no plane along the border, nothing on the table, a cloud of doubles."""
    far, rough, empty, doubles = (np.array(DOMES[0].arrays["xyz"]) for _ in range(4))
    far[..., 2] *= np.float32(1.2)
    rough[:20:2, :, 2] -= np.float32(0.1)
    rough[-20::2, :, 2] -= np.float32(0.05)
    rough[:, :20, 2] -= np.float32(0.07)
    rough[:, -20:, 2] += np.float32(0.08)
    table = empty[..., 2] != 0
    empty[table, 2] = (0.5 + 0.08 * empty[table, 0]).astype(np.float32)
    clouds = {"far": far, "rough": rough, "empty": empty, "doubles": doubles.astype(np.float64)}
    changed = [replace(DOMES[0], id=name, arrays={**DOMES[0].arrays, "xyz": xyz}) for name, xyz in clouds.items()]
    return [dome(6, 233, 320), *changed]


@pytest.mark.parametrize("overrides", [[], ["frame.crop=none"], ["modalities.normals.sigma=0.9", "frame.size=64"]])
def test_a_sample_is_prepared_alike_by_several_threads(overrides: list[str], threads: str) -> None:
    pipeline = Pipeline.fit(RECIPE.changed(*overrides) if overrides else RECIPE, DOMES)
    assert pipeline.region == "part"
    samples = [*DOMES, *odd_ones()]
    for sample, expected in zip(samples, by_one_thread(pipeline, samples), strict=True):
        assert_same(pipeline(sample), expected)


def test_the_odd_ones_are_odd() -> None:
    pipeline = Pipeline.fit(RECIPE, DOMES)
    notes = {sample.id: " ".join(pipeline(sample).notes) for sample in [*DOMES, *odd_ones()]}
    assert notes["dome 0"] == notes["doubles"] == ""
    assert "frame of 233 x 320" in notes["dome 6"]
    assert "plane at" in notes["far"]
    assert "stands in" in notes["rough"]
    assert "no part found" in notes["empty"]


def test_many_at_once_in_shared_threads(threads: str) -> None:
    pipeline = Pipeline.fit(RECIPE, DOMES)
    expected = by_one_thread(pipeline, DOMES)
    for ours, alone in zip(in_threads(pipeline, DOMES * 4), expected * 4, strict=True):
        assert_same(ours, alone)


def test_two_modalities_of_one_cloud_come_in_the_recipes_order(threads: str) -> None:
    recipe = load_recipe(
        "lite-residual",
        ["frame.size=96", 'modalities.coarse={representation="surface_normals", source="xyz", sigma=4.0}'],
    )
    pipeline = Pipeline.fit(recipe, DOMES)
    sample = pipeline(DOMES[1])
    assert list(sample.images) == list(recipe.modalities)
    assert_same(sample, *by_one_thread(pipeline, DOMES[1:2]))


def turn_upright(plane: np.ndarray) -> np.ndarray:
    """(3, 3): the least turn of the plane's normal to (0, 0, -1), by Rodrigues' formula."""
    normal, up = plane[:3] / np.linalg.norm(plane[:3]), np.array([0, 0, -1.0])
    axis = np.cross(normal, up)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + normal @ up)


@pytest.mark.parametrize("support", ["camera", "plane"])
@pytest.mark.parametrize("sigma", [0.5, 1.3, 2.0, 6.0])
def test_slopes_are_those_of_weighted_least_squares(sigma: float, support: str) -> None:
    cloud = DOMES[2].arrays["xyz"]
    plane = border_plane(cloud) if support == "plane" else None
    xyz = np.asarray(cloud, np.float64)
    turn = np.eye(3) if plane is None else turn_upright(plane)
    if plane is not None:
        assert abs(turn - np.eye(3)).max() > 0.05, "the table is tilted"
    slopes, known = surface_slopes(cloud, sigma, plane)
    assert 0 < known.mean() < 1
    kernel = cv2.getGaussianKernel(round(8 * sigma + 1) | 1, sigma)
    weights, reach = kernel @ kernel.T, len(kernel) // 2
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(reach, side - reach, 40) for side in known.shape)
    for row, column in zip(rows, columns, strict=True):
        around = (slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1))
        points = xyz[around].reshape(-1, 3) @ turn.T
        root = np.sqrt(weights * (xyz[around][..., 2] != 0)).ravel()
        if known[row, column]:
            fit = np.column_stack([points[:, :2] - points[:, :2].mean(axis=0), np.ones(len(points))])
            expected, *_ = np.linalg.lstsq(fit * root[:, None], points[:, 2] * root, rcond=None)
            np.testing.assert_allclose(slopes[row, column], expected[:2], atol=1e-5)
        else:
            assert (slopes[row, column] == 0).all()


def test_normals_are_those_of_the_slopes_enlarged() -> None:
    xyz, gain = DOMES[2].arrays["xyz"], 3.0
    slopes, known = surface_slopes(xyz, 2.0, None)
    normals = np.dstack([-gain * slopes, np.ones(known.shape)])
    expected = (normals / np.linalg.norm(normals, axis=2, keepdims=True) + 1) / 2
    image = np.moveaxis(surface_normals_image(xyz, 2.0, gain), 0, -1)
    assert abs(slopes[known]).max() > 0.1
    np.testing.assert_allclose(image[known], expected[known], atol=1e-6)
    assert (image[~known] == [0.5, 0.5, 0]).all()


def test_a_window_at_the_corner_and_any_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz = DOMES[3].arrays["xyz"]
    whole = surface_normals_image(xyz, 2.0, 3.0)
    for strip, rows, threads in ((256, 48, "1"), (31, 7, "1"), (256, 500, "3"), (100, 16, "2")):
        monkeypatch.setattr(plane_fits, "THINNEST", 20)
        monkeypatch.setattr(plane_fits, "ROWS", rows)
        monkeypatch.setattr(normals_module, "strips", lambda h, most=strip, **n: plane_fits.strips(h, most, **n))
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        window = slice(0, 120), slice(150, 277)
        normals = SurfaceNormals(xyz, 2.0, 3.0, window)
        for some in reversed(normals.strips()):
            normals.fill(some, normals.centre, lambda: None)
        np.testing.assert_array_equal(normals.image, whole[:, window[0], window[1]])


def test_heights_are_distances_from_the_plane() -> None:
    xyz = DOMES[0].arrays["xyz"]
    plane = border_plane(xyz, RECIPE.frame.part)
    assert plane is not None
    expected = np.where(xyz[..., 2] != 0, xyz @ plane[:3] + plane[3], 0)
    np.testing.assert_allclose(height_over_plane(xyz, plane), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("height", "most", "threads", "count"), [(411, 256, 1, 2), (411, 256, 2, 2), (411, 256, 64, 4)]
)
def test_strips_are_all_rows_once(height: int, most: int, threads: int, count: int) -> None:
    rows = plane_fits.strips(height, most, threads)
    assert len(rows) == count
    assert np.concatenate([np.arange(height)[some] for some in rows]).tolist() == list(range(height))
    assert plane_fits.strips(1, 256, 8) == [slice(0, 1)]
