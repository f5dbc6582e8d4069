"""What outside checks call: these names, in one module, with these arguments."""

import inspect

import numpy as np
import pytest
import torch

from trd import reference

ARGUMENTS = {
    "load_reference_student": ["state_dict"],
    "anomaly_map": ["student_pyramid", "teacher_pyramid", "size"],
    "smooth": ["maps", "sigma"],
    "pyramid_distance": ["student_pyramid", "teacher_pyramid"],
    "depth_image": ["xyz", "size"],
    "sobel_normals_image": ["xyz", "size", "kernel"],
    "evaluate_maps": ["maps", "masks", "image_scores", "aupro_thresholds"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_names_and_arguments_stay(name: str) -> None:
    parameters = list(inspect.signature(getattr(reference, name)).parameters)
    assert parameters[: len(ARGUMENTS[name])] == ARGUMENTS[name]
    assert set(reference.__all__) == set(ARGUMENTS)


def test_results_stay() -> None:
    pyramid = (torch.ones(1, 2, 8, 8),)
    assert float(reference.pyramid_distance(pyramid, pyramid)) == pytest.approx(0, abs=1e-6)
    assert reference.anomaly_map(pyramid, pyramid, (16, 16)).shape == (1, 16, 16)
    maps = np.zeros((2, 32, 32), np.float32)
    maps[0, 8:12, 8:12] = 1
    assert reference.smooth(maps).shape == maps.shape
    assert reference.smooth(maps)[0, 10, 10] > reference.smooth(maps)[0, 20, 20]
    assert reference.evaluate_maps(maps, maps > 0)["pixel_auroc"] == 1
    xyz = np.dstack([*np.mgrid[:40, :40] * 1e-3, np.full((40, 40), 0.4)]).astype(np.float32)
    xyz[10:20, 10:20, 2] = 0.38
    assert reference.depth_image(xyz, 32).shape[-2:] == (32, 32)
    assert reference.sobel_normals_image(xyz, 32, 5).shape == (3, 32, 32)
