import pytest
import torch

from trd.evidence.reverse_distillation.maps.residuals import (
    LevelDistance,
    ResidualDistance,
    box,
    cosine,
    fit_residual_distances,
)


def observation(
    seed: int, defect: float = 0.0, region: torch.Tensor | None = None
) -> tuple[dict[str, tuple[torch.Tensor]], dict[str, tuple[torch.Tensor]], torch.Tensor | None]:
    """Students, teachers, region.

    One modality, one level: correlated residual noise, five times larger where the student expects an edge."""
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(4, 3, 24, 24, generator=generator) * 0.1
    student[:, 0, :, 12:] += 2  # the "edge" half
    noise = torch.randn(4, 3, 24, 24, generator=generator) @ torch.eye(24)
    noise[:, 1] = 0.9 * noise[:, 0] + 0.1 * noise[:, 1]
    noise[..., 12:] *= 5
    teacher = student + noise
    teacher[:, 2, 4:8, 4:8] += defect
    return {"rgb": (student,)}, {"rgb": (teacher,)}, region


def fitted(pool: int = 1, region: torch.Tensor | None = None) -> LevelDistance:
    distances = torch.nn.ModuleDict({"rgb": ResidualDistance((3,), (pool,))})
    fit_residual_distances(
        distances,
        lambda: (observation(s, region=region) for s in range(6)),
        lambda: (observation(s, region=region) for s in range(6, 9)),
    )
    return distances["rgb"].levels[0]


def levels_of(seed: int, defect: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    students, teachers, _ = observation(seed, defect)
    return students["rgb"][0], teachers["rgb"][0]


def test_good_parts_have_mean_0_and_deviation_1() -> None:
    values = torch.cat([fitted()(*levels_of(s)) for s in range(20, 40)])
    assert abs(values.mean()) < 0.15
    assert 1 < values.std() < 2  # two distances of deviation 1, partly correlated


def test_noisy_places_are_no_more_suspicious_than_quiet_ones() -> None:
    values = torch.cat([fitted()(*levels_of(s)) for s in range(20, 30)])
    quiet, noisy = values[..., :11].mean(), values[..., 13:].mean()
    assert abs(quiet - noisy) < 0.5


def test_a_coherent_defect_stands_out_more_when_residuals_are_averaged() -> None:
    def contrast(pool: int) -> float:
        values = fitted(pool)(*levels_of(50, defect=2.0))
        return float(values[..., 5:7, 5:7].mean() - values[..., 12:, :11].mean())

    assert contrast(3) > 2 * contrast(1) > 0


def test_the_fit_can_be_limited_to_a_region() -> None:
    region = torch.zeros(4, 24, 24, dtype=torch.bool)
    region[..., :12] = True
    inside, everywhere = (level.distances(*levels_of(0))[:, 0, :, :12] for level in (fitted(region=region), fitted()))
    assert 0.6 < inside.mean() < 1.1  # under 1 for the shrinkage of the covariance
    assert everywhere.mean() < 0.3


def test_an_unheard_of_context_is_not_excused() -> None:
    level = fitted()
    wild = torch.full((1, 6, 1, 1), 1e4)
    assert (level.expected_log(wild) <= level.log_range[1][:, None, None]).all()


@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_separable_mean_is_the_square_mean(side: int) -> None:
    features = torch.randn(2, 4, 9, 11)
    square = torch.nn.functional.avg_pool2d(features, side, 1, side // 2, count_include_pad=False)
    torch.testing.assert_close(box(features, side), square, rtol=1e-4, atol=1e-5)
    other = torch.randn(2, 4, 9, 11)
    torch.testing.assert_close(cosine(features, other)[:, 0], torch.cosine_similarity(features, other, dim=1))
