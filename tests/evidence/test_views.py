"""Augmentation: pictures turned and mirrored, and with them the vectors that they show."""

from typing import Literal

import numpy as np
import pytest
import torch

from trd.config import load_recipe
from trd.evidence.reverse_distillation.training.views import UPRIGHT, View, all_views, images_in_view, random_views


def test_turning_a_picture_of_vectors_turns_the_vectors() -> None:
    """A field of arrows away from the centre looks the same however it is mirrored and turned."""
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    field = torch.tensor(np.stack([(x + 1) / 2, (y + 1) / 2, np.ones_like(x)]), dtype=torch.float32)
    views = {View(turns, mirrored) for turns in range(4) for mirrored in (False, True)}
    for view in views:
        turned = images_in_view({"normals": field, "rgb": field}, {"normals": "y_down"}, view)
        torch.testing.assert_close(turned["normals"], field)
        assert torch.equal(turned["rgb"], field) == (view == UPRIGHT)
    assert set(all_views("flips", square=True)) == views


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize(("augment", "count"), [("none", 1), ("turns", 4), ("flips", 8)])
def test_every_view_of_an_augmentation_is_drawn_and_no_other(
    augment: Literal["none", "turns", "flips"], count: int, square: bool
) -> None:
    views = all_views(augment, square)
    assert len(set(views)) == len(views) == (count if square else max(1, count // 2))
    assert set(random_views(augment, 200, square, np.random.default_rng(0))) == set(views)
    assert any(view.mirrored for view in views) == (augment == "flips")


def test_ready_made_normals_turn_too_also_with_y_up() -> None:
    """Eyecandies stores y upwards: arrows away from the centre point up in the upper half."""
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    field = torch.tensor(np.stack([(x + 1) / 2, (1 - y) / 2, np.ones_like(x)]), dtype=torch.float32)
    recipe = load_recipe("eyecandies-rgb-normals")
    assert recipe.vector_maps == {"normals": "y_up"}
    for view in {View(turns, mirrored) for turns in range(4) for mirrored in (False, True)}:
        turned = images_in_view({"normals": field, "rgb": field}, recipe.vector_maps, view)
        torch.testing.assert_close(turned["normals"], field)
    assert load_recipe("lite-residual").vector_maps == {"normals": "y_down"}
    assert load_recipe("lite-rgb").vector_maps == {}


def test_oblong_pictures_are_only_turned_by_half() -> None:
    views = set(random_views("flips", 100, False, np.random.default_rng(0)))
    assert views == {View(turns, mirrored) for turns in (0, 2) for mirrored in (False, True)}
    image = torch.rand(3, 20, 30)
    assert all(images_in_view({"rgb": image}, [], view)["rgb"].shape == image.shape for view in views)


def test_empty_pixels_of_a_vector_map_stay_empty() -> None:
    image = torch.rand(3, 16, 16)
    image[:, :4, :] = 0
    turned = images_in_view({"normals": image}, {"normals": "y_down"}, View(3, True))["normals"]
    assert (turned == 0).all(dim=0).sum() == 4 * 16
