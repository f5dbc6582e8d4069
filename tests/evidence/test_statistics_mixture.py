"""How unlike good parts a place is: what the mixture's numbers promise."""

import pytest
import torch
from torch import Tensor

from trd.evidence.patch_statistics.mixture import PlaceMixture, fit_mixture

FEATURES = 5
QUIET, NOISY = 0, 1


def cells_of(kind: int, count: int, generator: torch.Generator) -> Tensor:
    """(count, F) of one part. Quiet places are Gaussian; noisy ones scatter thirty times as much, with a heavy tail,
    and differ from part to part.
    """
    normal = torch.randn(count, FEATURES, generator=generator)
    if kind == QUIET:
        return 0.05 * normal
    tail = 1 + torch.rand(count, 1, generator=generator).log().neg()
    return 8 + 1.5 * normal * tail + 0.5 * torch.randn(1, FEATURES, generator=generator)


def part(generator: torch.Generator, count: int = 150) -> Tensor:
    return torch.cat([cells_of(kind, count, generator) for kind in (QUIET, NOISY)])


def fitted(components: int = 4, parts: int = 16, seed: int = 0) -> PlaceMixture:
    draw = torch.Generator().manual_seed(5)
    return fit_mixture([part(draw) for _ in range(parts)], components, torch.Generator().manual_seed(seed))


def relative(mixture: PlaceMixture, cells: Tensor) -> Tensor:
    """(N, F) -> (N,)."""
    return mixture(cells.T[None, :, None])[0, 0]


def test_the_seed_decides_it() -> None:
    one, two, other = fitted(seed=1), fitted(seed=1), fitted(seed=2)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name])
    assert not torch.equal(one.whitening, other.whitening)


def test_a_feature_that_never_varies_is_ignored() -> None:
    draw = torch.Generator().manual_seed(1)
    parts = [part(draw) for _ in range(6)]
    for cells in parts:
        cells[:, 2] = 0.7
    mixture = fit_mixture(parts, 4, torch.Generator().manual_seed(0))
    assert mixture.scale[2] == 0
    assert (mixture.scale[[0, 1, 3, 4]] > 0).all()
    asked = part(draw)
    asked[:, 2] = 0.7
    plain = relative(mixture, asked)
    asked[:, 2] = 1e6
    torch.testing.assert_close(relative(mixture, asked), plain)


@pytest.mark.parametrize(("parts", "cells"), [(1, 100), (1, 2), (2, 1), (3, 5)])
def test_few_parts_and_fewer_cells_than_components_will_do(parts: int, cells: int) -> None:
    draw = torch.Generator().manual_seed(2)
    mixture = fit_mixture([part(draw)[:cells] for _ in range(parts)], 32, torch.Generator().manual_seed(0))
    assert all(tensor.isfinite().all() for tensor in mixture.state_dict().values())
    assert relative(mixture, part(draw)).isfinite().all()


def test_good_parts_not_seen_before_have_mean_0_and_deviation_1_at_every_kind_of_place() -> None:
    mixture, draw = fitted(), torch.Generator().manual_seed(77)
    found = [relative(mixture, torch.cat([cells_of(kind, 150, draw) for _ in range(30)])) for kind in (QUIET, NOISY)]
    for values in (*found, torch.cat(found)):
        assert abs(float(values.mean())) < 0.15
        assert 0.8 < float(values.std()) < 1.2


def test_a_plain_mahalanobis_distance_would_favour_the_noisy_places() -> None:
    """Of one Gaussian, and of the mixture's own before it is taken relative to what is usual."""
    draw = torch.Generator().manual_seed(78)
    quiet, noisy = (torch.cat([cells_of(kind, 150, draw) for _ in range(30)]) for kind in (QUIET, NOISY))
    # defects of two deviations of their kind of place, in every feature
    faint = cells_of(QUIET, 500, draw) + 2 * 0.05 * torch.ones(FEATURES)
    one = fitted(components=1)
    plain = [one.distances(one.standardised(cells.T))[0] for cells in (quiet, noisy, faint)]
    assert plain[1].mean() > plain[0].mean() + 0.3
    assert plain[2].mean() < plain[1].mean()  # the defect at a quiet place is less than what good noisy ones show
    mixture = fitted()
    ours = [relative(mixture, cells) for cells in (quiet, noisy, faint)]
    assert abs(float(ours[1].mean() - ours[0].mean())) < 0.2
    assert ours[2].mean() > ours[1].quantile(0.9)


def test_what_is_unlike_any_kind_of_place_is_far_above() -> None:
    mixture, draw = fitted(), torch.Generator().manual_seed(79)
    good = relative(mixture, torch.cat([part(draw) for _ in range(20)]))
    outlier = torch.full((1, FEATURES), 40.0)
    outlier[0, ::2] = -40.0
    assert relative(mixture, outlier) > float(good.max()) + 1


def test_a_map_is_its_cells_one_by_one() -> None:
    mixture, draw = fitted(), torch.Generator().manual_seed(80)
    cells = part(draw, 12)
    pictures = cells.view(2, 3, 4, FEATURES).permute(0, 3, 1, 2)
    torch.testing.assert_close(mixture(pictures).flatten(), relative(mixture, cells))


def test_between_two_kinds_of_place_the_distance_does_not_jump() -> None:
    """Which of two equally likely components is the likelier is decided by rounding, which differs between runtimes."""
    mixture = PlaceMixture(2, 2)
    means = torch.tensor([[-3.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    mixture.set_gaussians(means, torch.eye(2, dtype=torch.float64).repeat(2, 1, 1))
    mixture.usual.copy_(torch.tensor([0.0, 2.0]))
    step = 1e-5
    along = torch.tensor([[-3.0, 5.0], [-step, 5.0], [0.0, 5.0], [step, 5.0], [3.0, 5.0]])
    left, before, tie, after, right = relative(mixture, along)
    assert float(left - right) == pytest.approx(2.0, abs=1e-4)  # what is usual differs that much
    assert float(before - after) == pytest.approx(0.0, abs=20 * step)
    assert before > tie > after
