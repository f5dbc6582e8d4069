"""Directions of labelled defects, and the graph that follows them."""

import numpy as np
import pytest
import torch
from fitting import fitted, maps, noise

from trd.config import KNOWN_DEFECTS, Recipe, load_recipe
from trd.decision.kinds import DISTANCES, PLACE
from trd.engines.base import Placement
from trd.engines.graphs import IMAGE, MAP
from trd.errors import CheckpointError
from trd.evidence.detection import detector_engine, joined
from trd.evidence.known_defects.channels import Channels
from trd.evidence.known_defects.directions import Background, Directions, GoodCells
from trd.evidence.known_defects.evidence import state_of
from trd.evidence.known_defects.kinds import KindDistances, state_of_kinds
from trd.types import State

CHANNELS = 6


def good_cells(seed: int = 0, parts: int = 5) -> list[torch.Tensor]:
    """Channels that go together, as those of a part do."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(CHANNELS, CHANNELS, generator=random)
    return [torch.randn(400, CHANNELS, generator=random) @ mixing for _ in range(parts)]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("patch-statistics", ("frame.size=64", "scoring.stand_ins=false")).changed(
        f"evidence.{KNOWN_DEFECTS}=true"
    )


@pytest.fixture(scope="module")
def state(recipe: Recipe) -> State:
    """Of patch statistics, with a direction of what is bright."""
    plain = recipe.changed(f"evidence.{KNOWN_DEFECTS}=false")
    channels = Channels(recipe)
    directions = Directions(2, channels.count)
    directions.weights[0, channels.maps] = 1.0  # lightness
    directions.offsets.copy_(torch.tensor([0.5, -100.0]))
    return joined(
        {"": fitted(plain, lambda index: noise(plain, index)), f"{KNOWN_DEFECTS}.": state_of(channels, directions)}
    )


def test_one_defect_is_told_from_good_parts() -> None:
    background = Background.of(good_cells(), 0.1)
    defect = torch.zeros(CHANNELS)
    defect[2] = 3.0
    directions = background.directions({"scratch": [defect]})
    response = directions(torch.stack([defect, -defect])[:, :, None, None]).flatten()
    assert response[0] > 1 > response[1]  # 1 is what good parts reach


def test_units_are_those_of_good_parts() -> None:
    parts = good_cells()
    directions = Background.of(parts, 0.1).directions({"a": [torch.ones(CHANNELS)], "b": [-torch.ones(CHANNELS)]})
    responses = [part @ directions.weights.T + directions.offsets for part in parts]
    np.testing.assert_allclose(torch.cat(responses).median(dim=0).values, 0, atol=1e-4)
    np.testing.assert_allclose(torch.stack([r.amax(dim=0) for r in responses]).mean(dim=0), 1, rtol=1e-4)


def test_what_lies_above_good_parts_counts_more() -> None:
    directions = Directions(1, 1)
    directions.weights.fill_(1.0)
    values = torch.tensor([-1.0, 0.5, 1.0, 2.0])
    torch.testing.assert_close(directions(values[None, None, None]).flatten(), torch.tensor([-1.0, 0.5, 1.0, 3.0]))


def test_every_kind_has_a_direction_of_its_own() -> None:
    """Their mean would be no direction at all."""
    background, bump = Background.of(good_cells(), 0.1), torch.zeros(CHANNELS)
    bump[1] = 4.0
    both = background.directions({"bump": [bump], "dent": [-bump]})
    assert both(torch.stack([bump, -bump])[:, :, None, None]).min() > 1


def test_more_defects_of_a_kind_are_one_direction() -> None:
    background = Background.of(good_cells(), 0.1)
    ones, twos = torch.ones(CHANNELS), torch.arange(CHANNELS).float()
    several = background.directions({"a": [ones, twos]})
    torch.testing.assert_close(several.weights, background.directions({"a": [(ones + twos) / 2]}).weights)


def test_what_is_new_is_not_taken_for_a_defect() -> None:
    """The first channel, as a branch's map, is higher on all parts that were not trained on."""
    background, new = Background.of(good_cells(), 0.1), torch.zeros(CHANNELS)
    new[0] = 6.0
    surroundings = [GoodCells.of(part + new) for part in good_cells()]
    defect = new.clone()
    defect[1] = 3.0
    places = torch.stack([new, defect])[:, :, None, None]
    alone, beside = (known.directions({"a": [defect]}) for known in (background, background.beside(surroundings)))
    good, defective = alone(places).flatten()
    assert good > 0.5 * defective
    good, defective = beside(places).flatten()
    assert good < 0.2 * defective


def test_a_defect_that_fills_its_part_leaves_the_training_parts() -> None:
    background = Background.of(good_cells(), 0.1)
    assert background.beside([GoodCells.of(torch.zeros(0, CHANNELS))]) is background


def test_a_channel_that_never_varies_says_nothing() -> None:
    channels = Channels(load_recipe("patch-statistics", ("frame.size=64",)).changed(f"evidence.{KNOWN_DEFECTS}=true"))
    cells = torch.randn(50, len(channels.centre))
    cells[:, 3] = 0.25
    channels.fit([cells])
    assert channels.scale[3] == 0
    values = channels.standardised(torch.full((1, len(channels.centre), 8, 8), 1e6))
    assert values[0, 3].abs().max() == 0
    assert values.max() <= 8
    assert values.shape[1] == channels.count


def test_the_engine_follows_the_directions(recipe: Recipe, state: State) -> None:
    part = noise(recipe, 7)
    part.images["rgb"][:, 16:48, 16:48] = 1.0
    computed = maps(recipe, state, part)
    assert set(computed) == {"rgb_statistics", "normals_statistics", KNOWN_DEFECTS}
    learned = computed[KNOWN_DEFECTS]
    assert learned.shape == (64, 64)
    assert learned[20:44, 20:44].min() > learned[:8].max()


def test_a_state_of_another_recipe_is_refused(recipe: Recipe, state: State) -> None:
    shorter = {name: value[..., :-1] if name.endswith("weights") else value for name, value in state.items()}
    with pytest.raises(CheckpointError, match="do not fit"):
        maps(recipe, shorter, noise(recipe, 1))


def test_a_state_of_an_earlier_checkout_is_refused(recipe: Recipe, state: State) -> None:
    """Its calibration is that of a map that did not count double."""
    earlier = {name: value for name, value in state.items() if not name.endswith("steepness")}
    with pytest.raises(CheckpointError, match="teach the detector before it again"):
        maps(recipe, earlier, noise(recipe, 1))


def test_distances_are_whitened_by_good_parts(recipe: Recipe) -> None:
    """What varies much among good parts separates less."""
    cells = torch.randn(4000, Channels(recipe).count, generator=torch.Generator().manual_seed(0))
    cells[:, 0] *= 10
    origin = torch.zeros(cells.shape[1])
    wide, narrow = origin.clone(), origin.clone()
    wide[0], narrow[1] = 3.0, 3.0
    distances = KindDistances.of(Channels(recipe), Background.of([cells], 1.0), [origin], 0.0)
    far, farther = distances.distances(torch.stack([wide, narrow]))[:, 0]
    assert (float(far), float(farther)) == pytest.approx((0.3, 3.0), rel=0.1)


def test_kinds_change_no_map_to_the_bit(recipe: Recipe, state: State) -> None:
    """The engine computes distances on demand alone, from the place that it is given."""
    channels = Channels(recipe)
    cells = torch.randn(500, channels.count, generator=torch.Generator().manual_seed(1))
    bright = torch.zeros(channels.count)
    bright[channels.maps] = 8.0
    distances = KindDistances.of(channels, Background.of([cells], 1.0), [bright, -bright])
    taught = joined({"": state, f"{KNOWN_DEFECTS}.": state_of_kinds(distances)})
    part = noise(recipe, 7)
    part.images["rgb"][:, 16:48, 16:48] = 1.0
    before = maps(recipe, state, part)
    after = maps(recipe, taught, part)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    engine = detector_engine(recipe, taught, (64, 64), Placement("cpu"))
    values = {IMAGE + name: image[None] for name, image in part.images.items()}
    values |= {MAP + name: raw_map[None] for name, raw_map in after.items()}
    place = np.zeros((1, 64, 64), np.float32)
    place[:, 20:44, 20:44] = 1
    inside = engine.on_demand(values | {PLACE: place})[DISTANCES][0]
    assert inside[0] < inside[1]
