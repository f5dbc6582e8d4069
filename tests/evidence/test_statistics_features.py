"""What the features of colour and surface say of drawn pictures."""

import math

import pytest
import torch
from torch import Tensor

from trd.evidence.patch_statistics.features import STRIDE, ColourFeatures, Gaussian, SurfaceFeatures, features_of
from trd.evidence.reverse_distillation.training.views import View, images_in_view

SIZE = 96
LEVELS, BANDS = slice(0, 3), slice(3, 16)  # of colour; bands, gradients and textures
CURVATURES, SLOPES = slice(0, 8), slice(8, 10)  # of a surface
VIEWS = [View(turns, mirrored) for turns in range(4) for mirrored in (False, True)][1:]


def smooth_noise(seed: int, channels: int, sigma: float = 3.0) -> Tensor:
    noise = torch.randn(1, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    smooth = Gaussian(sigma)(noise)[0]
    return smooth / smooth.std()


def coordinates() -> tuple[Tensor, Tensor]:
    """x to the right and y down, in pixels from the middle."""
    side = torch.arange(SIZE) - (SIZE - 1) / 2
    return side.expand(SIZE, SIZE), side[:, None].expand(SIZE, SIZE)


def normals(right: Tensor, down: Tensor) -> Tensor:
    """(3, h, w) picture of unit vectors with these slopes x / z and y / z, y down."""
    vectors = torch.stack([right, down, torch.ones_like(right)])
    return (vectors / vectors.norm(dim=0) + 1) / 2


def picture() -> Tensor:
    return (0.5 + 0.12 * smooth_noise(1, 3, 1.0)).clamp(0, 1)


def surface() -> Tensor:
    return normals(*(0.3 * smooth_noise(2, 2)))


def flipped_y(image: Tensor) -> Tensor:
    return torch.stack([image[0], 1 - image[1], image[2]])


@pytest.mark.parametrize("view", VIEWS)
def test_turned_and_mirrored_parts_have_the_same_features(view: View) -> None:
    for axes, features, image in (
        ("none", ColourFeatures(), picture()),
        ("y_down", SurfaceFeatures(), surface()),
        ("y_up", SurfaceFeatures(upwards=True), flipped_y(surface())),
    ):
        vectors = {} if axes == "none" else {"part": axes}
        cells = features(image[None])[0]
        turned = features(images_in_view({"part": image}, vectors, view)["part"][None])[0]
        expected = images_in_view({"part": cells}, {}, view)["part"]
        assert cells.shape == (features.channels, SIZE // STRIDE, SIZE // STRIDE)
        assert cells.flatten(1).std(dim=1).min() > 1e-3  # every feature has something to say
        torch.testing.assert_close(turned, expected, atol=2e-5, rtol=1e-4)


def test_vectors_that_are_not_turned_with_the_part_are_others() -> None:
    """So the test above can fail."""
    quarter = View(1, False)
    features = SurfaceFeatures()
    left_as_they_were = features(images_in_view({"part": surface()}, {}, quarter)["part"][None])[0]
    expected = images_in_view({"part": features(surface()[None])[0]}, {}, quarter)["part"]
    assert (left_as_they_were - expected).abs()[CURVATURES].max() > 0.05


def test_where_y_points_is_the_recipes_to_say() -> None:
    down, up = features_of("y_down"), features_of("y_up")
    image = surface()[None]
    torch.testing.assert_close(up(flipped_y(image[0])[None]), down(image))
    assert (up(image) - down(image)).abs().max() > 0.05
    assert isinstance(features_of("none"), ColourFeatures)


def test_an_even_picture_has_a_level_and_nothing_else() -> None:
    cells = ColourFeatures()(torch.tensor([0.49, 0.25, 0.09])[None, :, None, None].expand(1, 3, SIZE, SIZE))[0]
    for found, expected in zip(cells[LEVELS], (0.5, 0.2, 0.2), strict=True):
        torch.testing.assert_close(found, torch.full_like(found, expected))
    assert cells[BANDS].abs().max() < 1e-5


def test_a_picture_twice_as_bright_is_of_another_level() -> None:
    even = torch.full((1, 3, SIZE, SIZE), 0.3)
    dark, bright = (ColourFeatures()(even * factor)[0] for factor in (1, 2))
    torch.testing.assert_close(bright[0], dark[0] * math.sqrt(2))
    assert bright[BANDS].abs().max() < 1e-5
    dark, bright = (ColourFeatures()(picture()[None] * factor)[0] for factor in (0.5, 1))
    assert (bright[0] - dark[0]).min() > 0.1  # everywhere


def test_a_plane_has_a_slope_and_no_curvature() -> None:
    across, _ = coordinates()
    cells = SurfaceFeatures()(normals(torch.full_like(across, 0.3), torch.full_like(across, -0.4))[None])[0]
    assert cells[CURVATURES].abs().max() < 1e-5
    torch.testing.assert_close(cells[SLOPES], torch.full_like(cells[SLOPES], 0.5))


@pytest.mark.parametrize(("right", "down"), [(0.01, 0.01), (-0.01, -0.01), (0.01, -0.01), (0.01, 0.0)])
def test_curvatures_in_closed_form(right: float, down: float) -> None:
    """Of a dome, a dent, a saddle and a cylinder: slopes that grow by so much in a pixel, two or four in a cell."""
    across, along = coordinates()
    cells = SurfaceFeatures()(normals(right * across, down * along)[None])[0]
    middle = cells[:, 10:14, 10:14]
    for scale, pixels in enumerate((2, 2, 4, 4)):
        larger, smaller = middle[2 * scale], middle[2 * scale + 1]
        torch.testing.assert_close(larger, torch.full_like(larger, pixels * max(right, down)), atol=1e-4, rtol=0)
        torch.testing.assert_close(smaller, torch.full_like(smaller, pixels * min(right, down)), atol=1e-4, rtol=0)


def test_a_smooth_bump_shows_in_the_curvature_where_it_is() -> None:
    across, along = coordinates()
    bump = 0.4 * torch.exp(-((across + 16).square() + along.square()) / (2 * 6**2))
    plain, bumped = (SurfaceFeatures()(image[None])[0] for image in (
        surface(), normals(*(0.3 * smooth_noise(2, 2) + torch.stack([across + 16, along]) / 6 * bump))
    ))  # fmt: skip
    change = (bumped - plain).abs()[CURVATURES]
    assert (change[:, 10:14, 6:10].amax(dim=(1, 2)) > 0.01).all()
    assert change[:, :, 20:].max() < 1e-4


def test_pixels_without_a_normal_count_as_level() -> None:
    image = surface()
    image[:, :48] = 0
    cells = SurfaceFeatures()(image[None])[0]
    assert cells.isfinite().all()
