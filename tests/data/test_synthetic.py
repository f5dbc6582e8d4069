from dataclasses import replace

import numpy as np
import pytest

from trd.data.synthetic import BOTH_KINDS, COLOUR_KINDS, GEOMETRY_KINDS, kinds_for, part_in_picture, with_defect
from trd.errors import DataError
from trd.types import GOOD, Sample

ALL = (*COLOUR_KINDS, *GEOMETRY_KINDS, *BOTH_KINDS)
SIZE = 96


@pytest.fixture
def part() -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.hypot(rows - 50, columns - 44) < 34


@pytest.fixture
def sample(part: np.ndarray) -> Sample:
    """A speckled disc, 8 mm high, with missing points, on a table half a metre away."""
    rng = np.random.default_rng(0)
    rgb = np.where(part[..., None], 120, 30) + rng.integers(-15, 15, (SIZE, SIZE, 3))
    z = 0.5 - 0.008 * part + rng.normal(0, 5e-5, part.shape)
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    xyz = np.stack([columns * z / 300, rows * z / 300, z], axis=-1).astype(np.float32)
    xyz[rng.random(part.shape) < 0.02] = 0
    return Sample("validation/good/000", {"rgb": rgb.astype(np.uint8), "xyz": xyz}, GOOD)


def changed(before: Sample, after: Sample, source: str) -> np.ndarray:
    return np.asarray(before.arrays[source] != after.arrays[source]).any(axis=-1)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_what_changed_lies_in_the_mask_and_on_the_part(
    sample: Sample, part: np.ndarray, kind: str, strength: float
) -> None:
    for number in range(10):
        made = with_defect(sample, kind, strength, np.random.default_rng(number), part)
        assert made.defect == kind
        mask = made.mask
        assert mask is not None
        assert not (mask & ~part).any()
        both = changed(sample, made, "rgb") | changed(sample, made, "xyz")
        assert not (both & ~mask).any()
        assert both.sum() > 0.5 * mask.sum()  # the soft edge's last step may round to nothing
        assert 6 <= mask.sum() < 0.25 * part.sum()
        assert made.arrays["rgb"].dtype == np.uint8
        assert made.arrays["xyz"].dtype == np.float32


@pytest.mark.parametrize("kind", ALL)
def test_only_its_own_modality_is_touched(sample: Sample, part: np.ndarray, kind: str) -> None:
    made = with_defect(sample, kind, 0.7, np.random.default_rng(1), part)
    assert changed(sample, made, "rgb").any() == (kind not in GEOMETRY_KINDS)
    assert changed(sample, made, "xyz").any() == (kind not in COLOUR_KINDS)
    missing = np.asarray(sample.arrays["xyz"])[..., 2] == 0
    assert (np.asarray(made.arrays["xyz"])[missing] == 0).all()


@pytest.mark.parametrize("kind", ALL)
def test_the_same_seed_draws_the_same(sample: Sample, part: np.ndarray, kind: str) -> None:
    one, two, other = (with_defect(sample, kind, 0.5, np.random.default_rng(seed), part) for seed in (5, 5, 6))
    for source in ("rgb", "xyz"):
        assert (one.arrays[source] == two.arrays[source]).all()
    assert (one.mask == two.mask).all()
    assert (one.mask != other.mask).any()


def test_the_strength_is_that_of_the_change(sample: Sample, part: np.ndarray) -> None:
    faint, clear = (with_defect(sample, "dent", s, np.random.default_rng(2), part) for s in (0.0, 1.0))
    depths = [
        np.abs(np.asarray(m.arrays["xyz"]) - np.asarray(sample.arrays["xyz"]))[..., 2].max() for m in (faint, clear)
    ]
    assert 2e-5 < depths[0] < 5e-4  # about the roughness of 0.05 mm
    assert depths[1] > 3 * depths[0]
    assert depths[1] < 0.004  # half the part's height
    faint, clear = (with_defect(sample, "stain", s, np.random.default_rng(2), part) for s in (0.0, 1.0))
    steps = [
        np.abs(np.asarray(m.arrays["rgb"], float) - np.asarray(sample.arrays["rgb"])).max() for m in (faint, clear)
    ]
    assert steps[1] > 4 * steps[0] > 0


def test_a_dent_keeps_points_on_their_line_of_sight(sample: Sample, part: np.ndarray) -> None:
    made = np.asarray(with_defect(sample, "dent", 1.0, np.random.default_rng(3), part).arrays["xyz"], np.float64)
    before = np.asarray(sample.arrays["xyz"], np.float64)
    seen = before[..., 2] != 0
    assert np.allclose(made[seen][:, :2] / made[seen][:, 2:], before[seen][:, :2] / before[seen][:, 2:], atol=1e-6)


def test_grey_and_deep_pictures(sample: Sample, part: np.ndarray) -> None:
    rgb = np.asarray(sample.arrays["rgb"])
    for image in (rgb[..., 0], rgb.astype(np.uint16) * 16, rgb.astype(np.float32) / 255):
        plain = replace(sample, arrays={"rgb": image})
        made = with_defect(plain, "stain", 1.0, np.random.default_rng(0), part, clouds=())
        assert made.arrays["rgb"].shape == image.shape
        assert made.arrays["rgb"].dtype == image.dtype
        assert float(np.max(made.arrays["rgb"])) <= (1 if image.dtype.kind == "f" else 4095)


def test_kinds_and_refusals(sample: Sample, part: np.ndarray) -> None:
    assert kinds_for(("rgb",), ()) == COLOUR_KINDS
    assert kinds_for((), ("xyz",)) == GEOMETRY_KINDS
    assert kinds_for(("rgb",), ("xyz",)) == ALL
    with pytest.raises(ValueError, match="no kind of defect is called 'dent'"):
        with_defect(sample, "dent", 0.5, np.random.default_rng(0), part, clouds=())
    speck = np.zeros_like(part)
    speck[50, 40:42] = True
    with pytest.raises(DataError, match="no room for a defect on the 2 pixels"):
        with_defect(sample, "stain", 0.5, np.random.default_rng(0), speck)


def test_the_part_in_a_picture(sample: Sample, part: np.ndarray) -> None:
    found = part_in_picture(sample.arrays["rgb"])
    assert (found & part).sum() / (found | part).sum() > 0.9
    texture = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    assert part_in_picture(np.full_like(texture, 80)).all()
