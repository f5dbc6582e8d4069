"""The paper's two 3D images equal the reference implementation's numbers (tests/golden)."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from trd.preprocess.foreground import paper_foreground
from trd.reference import depth_image, sobel_normals_image

GOLDEN = np.load(Path(__file__).parents[1] / "golden/preprocess_visible.npz")


def summary(array: np.ndarray) -> np.ndarray:
    flat = np.asarray(array, np.float64).ravel()
    picks = np.linspace(0, flat.size - 1, 200).astype(int)
    return np.concatenate([[flat.mean(), flat.std(), flat.min(), flat.max()], flat[picks]])


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_sobel_normals(kernel: int) -> None:
    image = sobel_normals_image(GOLDEN["xyz"], 256, kernel)
    assert (image.shape, image.dtype) == ((3, 256, 256), np.float32)
    np.testing.assert_allclose(summary(image), GOLDEN[f"normals/k{kernel}"], atol=1e-5)


def test_depth_image() -> None:
    image = depth_image(GOLDEN["xyz"], 256)
    assert (image.shape, image.dtype) == ((1, 256, 256), np.float32)
    np.testing.assert_allclose(summary(image), GOLDEN["depth"], atol=1e-5)


def test_foreground() -> None:
    small = cv2.resize(GOLDEN["xyz"], (256, 256), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(summary(paper_foreground(small)), GOLDEN["depth/mask"])
