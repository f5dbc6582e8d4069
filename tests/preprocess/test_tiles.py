"""An image as tiles, and their maps as one."""

from itertools import pairwise

import numpy as np
import pytest

from trd.preprocess.parts import PreparedParts, network_parts
from trd.preprocess.tiles import OVERLAP, Tiles
from trd.types import PreparedSample


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).random((3, height, width), np.float32)


@pytest.mark.parametrize(
    ("size", "tile"),
    [((320, 640), (128, 128)), ((256, 96), (96, 96)), ((128, 128), (128, 128)), ((1536, 640), (320, 320))],
)
def test_tiles_cover_every_pixel_and_overlap(size: tuple[int, int], tile: tuple[int, int]) -> None:
    tiles = Tiles(size, tile)
    seen = np.zeros(size, int)
    for index in range(len(tiles.places)):
        tiles.cut(seen, index)[:] += 1
    assert seen.min() == 1
    rows = sorted({top for top, _ in tiles.places})
    gaps = [tile[0] - (second - first) for first, second in pairwise(rows)]
    assert all(gap >= OVERLAP * tile[0] - 4 for gap in gaps)


def test_maps_that_agree_come_back_as_they_were() -> None:
    tiles = Tiles((320, 640), (128, 160))
    whole = image(320, 640)[0]
    joined = tiles.joined({"rgb": [tiles.cut(whole, index) for index in range(len(tiles.places))]})["rgb"]
    np.testing.assert_allclose(joined, whole, atol=1e-6)


def test_tiles_that_disagree_blend_without_a_step() -> None:
    tiles = Tiles((128, 512), (128, 128))
    joined = tiles.joined({"rgb": [np.full((128, 128), index, np.float32) for index in range(len(tiles.places))]})[
        "rgb"
    ]
    most = 1 / (OVERLAP * 128)  # levels that differ by 1, over the overlap
    assert np.abs(np.diff(joined, axis=1)).max() <= 1.01 * most
    assert joined[0, 0] == 0
    assert joined[0, -1] == len(tiles.places) - 1


@pytest.mark.parametrize(("side", "stride"), [(1024, 1), (1056, 2), (2048, 2), (4096, 4), (8192, 4)])
def test_large_images_have_coarser_maps(side: int, stride: int) -> None:
    tiles = Tiles((side, 320), (320, 320))
    assert tiles.stride == stride
    assert tiles.map_size == (side // stride, 320 // stride)


def test_a_coarser_map_is_of_the_means() -> None:
    tiles = Tiles((2048, 64), (64, 64))
    whole = image(2048, 64)[0]
    joined = tiles.joined({"rgb": [tiles.cut(whole, index) for index in range(len(tiles.places))]})["rgb"]
    np.testing.assert_allclose(joined, whole.reshape(1024, 2, 32, 2).mean(axis=(1, 3)), atol=1e-6)


def test_images_above_each_other_do_not_mix() -> None:
    tiles = Tiles((96, 160), (96, 96), images=2)
    whole = np.concatenate([np.zeros((96, 160), np.float32), np.ones((96, 160), np.float32)])
    joined = tiles.joined({"rgb": [tiles.cut(whole, index) for index in range(len(tiles.places))]})["rgb"]
    np.testing.assert_allclose(joined, whole, atol=1e-6)
    assert tiles.per_image * 2 == len(tiles.places)


def test_tiles_without_anything_scored_are_not_learned_from() -> None:
    tiles = Tiles((96, 256), (96, 96))
    region = np.zeros((96, 256), bool)
    region[40:50, 10:30] = True
    parts = [
        PreparedSample("scored", "good", {"rgb": image(96, 256)}, region, None, (96, 256)),
        PreparedSample("whole", "good", {"rgb": image(96, 256)}, None, None, (96, 256)),
    ]
    cut = list(network_parts(PreparedParts(2, lambda index: parts[index]), tiles))
    assert [part.id for part in cut] == ["scored, tile 0", *(f"whole, tile {i}" for i in range(len(tiles.places)))]
    np.testing.assert_array_equal(cut[0].images["rgb"], parts[0].images["rgb"][:, :, :96])
    assert cut[0].region is not None
    assert cut[0].region.sum() == region.sum()
