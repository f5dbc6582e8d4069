"""Nearest entries against brute force; the cover's promises."""

import pytest
import torch

from trd.evidence.memory_bank.neighbours import farthest_points, nearest_distances


def features(count: int, channels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed)) + 3


@pytest.mark.parametrize(("queries", "entries", "channels"), [(700, 2500, 152), (300, 1024, 8), (5, 1, 3), (1, 7, 1)])
def test_the_nearest_is_what_brute_force_finds(queries: int, entries: int, channels: int) -> None:
    wanted, bank = features(queries, channels), features(entries, channels, 1)
    expected = torch.stack([(bank - query).norm(dim=1).min() for query in wanted])
    torch.testing.assert_close(nearest_distances(wanted, bank), expected, rtol=1e-4, atol=1e-5)


def test_an_entry_is_at_no_distance_from_itself() -> None:
    """Far from 0, where products of large numbers cancel."""
    bank = features(3000, 40) + 100
    assert float(nearest_distances(bank[::7], bank).max()) == 0


def test_half_precision_finds_one_that_is_nearly_as_near() -> None:
    wanted, bank = features(500, 64), features(1500, 64, 1)
    exact, rough = nearest_distances(wanted, bank), nearest_distances(wanted, bank, product=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert bool((rough >= exact - 1e-4).all())
    assert float((rough / exact).max()) < 1.05


def one_by_one(points: torch.Tensor, count: int, left: torch.Tensor) -> list[int]:
    """The definition, row after row."""
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(int(left.argmax()))
        left = torch.minimum(left, (points - points[chosen[-1]]).norm(dim=1))
        left[chosen] = -1
    return chosen


def test_many_in_one_go_are_those_of_one_by_one() -> None:
    points = features(3000, 16).double()
    starts = torch.randperm(3000, generator=torch.Generator().manual_seed(5))[:10]
    expected = one_by_one(points, 300, torch.cdist(points, points[starts]).mean(dim=1))
    assert list(farthest_points(points, 300, torch.Generator().manual_seed(5))) == expected


def test_the_cover_is_the_seeds_and_better_than_chance() -> None:
    points = features(4000, 200)
    points[:40] *= 4  # few that lie far out
    chosen = list(farthest_points(points, 400, torch.Generator().manual_seed(1)))
    assert chosen == list(farthest_points(points, 400, torch.Generator().manual_seed(1)))
    assert chosen != list(farthest_points(points, 400, torch.Generator().manual_seed(2)))
    assert len(set(chosen)) == 400
    random = torch.randperm(4000, generator=torch.Generator().manual_seed(3))[:400]
    assert nearest_distances(points, points[chosen]).max() < nearest_distances(points, points[random]).max()


def test_equal_rows_and_few_rows() -> None:
    same = torch.ones(30, 5)
    assert sorted(farthest_points(same, 50, torch.Generator().manual_seed(0))) == list(range(30))
    assert len(set(farthest_points(same, 20, torch.Generator().manual_seed(0)))) == 20
