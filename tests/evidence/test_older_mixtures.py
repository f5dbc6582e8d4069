"""Mixtures of detectors that were written with quadratic forms are read as what they were."""

from __future__ import annotations

import torch

from trd.evidence.patch_statistics.mixture import PlaceMixture, fit_mixture


def forms_of(mixture: PlaceMixture) -> torch.Tensor:
    """As version 0.1 kept a mixture: products in pairs, linear terms, constant."""
    whitening, mean = mixture.whitening.double(), mixture.whitened_mean.double()
    features = whitening.shape[1]
    rows, columns = torch.triu_indices(features, features)
    precision = whitening.transpose(1, 2) @ whitening
    pairs = precision[:, rows, columns] * torch.where(rows == columns, 1, 2)
    pulls = (whitening.transpose(1, 2) @ mean[:, :, None])[:, :, 0]
    return torch.cat([pairs, -2 * pulls, mean.square().sum(dim=1, keepdim=True)], dim=1).float()


def test_distances_are_the_same() -> None:
    random = torch.Generator().manual_seed(0)
    parts = [torch.randn(400, 5, generator=random) @ torch.randn(5, 5, generator=random) for _ in range(4)]
    mixture = fit_mixture(parts, 6, random)
    older = {name: value.clone() for name, value in mixture.state_dict().items() if "whiten" not in name}
    older["forms"] = forms_of(mixture)
    read = PlaceMixture(5, 6)
    read.load_state_dict(older)
    cells = mixture.standardised(torch.cat(parts).T)
    expected, _ = mixture.distances(cells)
    found, _ = read.distances(cells)
    assert (mixture.likeliest(cells) == read.likeliest(cells)).float().mean() > 0.999
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
