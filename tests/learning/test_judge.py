"""What a lesson is judged by: parts of made-up channels, without images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lesson_parts import SIDE, part

from trd.config import KNOWN_DEFECTS, Recipe, ScoringConfig, load_recipe
from trd.evidence.known_defects.channels import Channels
from trd.learning.heads import Lesson
from trd.learning.judge import dealt, judged

SCORING = ScoringConfig(sigma=4.0, fusion="norm", false_alarm_rate=0.05)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("patch-statistics", ("frame.size=64",)).changed(f"evidence.{KNOWN_DEFECTS}=true")


def lesson(
    recipe: Recipe, kinds: dict[str, int], each: int = 6, good: int = 24, marked: bool = True, seen: float = 0.3
) -> Lesson:
    """kinds: name -> channel of its defects, 0 for parts that are like good ones."""
    channels = Channels(recipe)
    defects = [
        part(channels, 1000 * number + index, kind, channel, marked, seen)
        for number, (kind, channel) in enumerate(kinds.items(), 1)
        for index in range(each)
    ]
    training = [part(channels, 100 + index) for index in range(12)]
    calibration = [part(channels, 200 + index) for index in range(good)]
    branches = ("rgb_statistics", "normals_statistics")
    return Lesson.of(channels, training, calibration, defects, branches, SCORING, 2.0)


def test_a_lesson_that_helps_is_taken(recipe: Recipe) -> None:
    result = judged(lesson(recipe, {"scratch": 5}))
    assert result.reasons == ()
    assert result.gain.low > 0
    assert result.after.auroc > result.before.auroc
    assert result.after.detected > result.before.detected
    assert result.unlabelled == {}
    assert set(result.scores) == {f"scratch/{1000 + index}" for index in range(6)}


def test_defects_that_were_detected_before_show_that_a_lesson_knows_them(recipe: Recipe) -> None:
    result = judged(lesson(recipe, {"scratch": 5}, seen=3.0))
    assert result.before.detected == 6
    assert result.gain.low > 0
    assert result.reasons == ()


def test_one_that_teaches_nothing_is_refused(recipe: Recipe) -> None:
    result = judged(lesson(recipe, {"nothing": 0}))
    assert result.gain.low <= 0
    assert "do not stand out more" in result.reasons[0]


def test_a_good_part_among_the_defects_is_named(recipe: Recipe) -> None:
    taught = lesson(recipe, {"scratch": 5}, each=6)
    odd = part(taught.channels, 4, "scratch")
    odd = replace(odd, plain=odd.plain * 0.5)
    result = judged(
        replace(
            taught,
            defects=[*taught.defects, odd],
            means=[*taught.means, taught.means[0] * 0],
            surroundings=[*taught.surroundings, taught.surroundings[0]],
        )
    )
    assert result.unseen == (odd.id,)


def test_a_defect_is_never_asked_by_what_has_seen_it(recipe: Recipe) -> None:
    """Six defects that have nothing in common: each alone is known at once, none tells of another."""
    taught = lesson(recipe, {f"kind {channel}": channel for channel in range(4, 10)}, each=1)
    seen = taught.directions(range(6))
    calibration = taught.calibrated(seen)
    threshold = calibration.image_threshold.value
    assert all(taught.score(defect, calibration, seen) > threshold for defect in taught.defects)
    assert judged(taught).after.detected < 6


def test_kinds_left_out_are_watched(recipe: Recipe) -> None:
    result = judged(lesson(recipe, {"scratch": 5, "stain": 20}))
    assert set(result.unlabelled) == {"scratch", "stain"}
    lost = [reason for reason in result.reasons if "has not seen" in reason]
    mean = np.mean(list(result.unlabelled.values()))
    assert bool(lost) == (mean < -0.005)


def test_a_defect_without_a_mark_is_where_it_is_strangest(recipe: Recipe) -> None:
    channels = Channels(recipe)
    taught = lesson(recipe, {"scratch": 1}, marked=False)  # the second branch sees it
    near, far = taught.means[0], torch.zeros(channels.count)
    assert near[1] > 1
    assert (near - far).abs().argmax() == 1


def test_surroundings_hold_nothing_of_the_defect(recipe: Recipe) -> None:
    """Its square of four cells, and three cells on each side of it that lie on the part."""
    taught = lesson(recipe, {"scratch": 5}, each=3)
    for defect, around in zip(taught.defects, taught.surroundings, strict=True):
        assert defect.marked is not None
        (top, *_, bottom), (left, *_, right) = (np.unique(places) for places in np.nonzero(defect.marked))
        rows, columns = (min(high + 4, SIDE) - max(low - 3, 0) for low, high in ((top, bottom), (left, right)))
        assert len(around.cells) == SIDE**2 - rows * columns


def excess_alarms(recipe: Recipe, repeats: int, new: int = 20) -> np.ndarray:
    """Of each calibration set: share of good parts above the threshold that neither the lesson nor the calibration has
    seen, less what it promises."""
    excess, channels = [], Channels(recipe)
    for repeat in range(repeats):
        seeds = iter(range(10_000 * repeat, 10_000 * (repeat + 1)))
        training, good, unseen = ([part(channels, next(seeds)) for _ in range(count)] for count in (6, 19, new))
        defects = [part(channels, next(seeds), "scratch", 5) for _ in range(5)]
        branches = ("rgb_statistics", "normals_statistics")
        taught = Lesson.of(channels, training, good, defects, branches, SCORING, 2.0)
        directions = taught.directions(range(5))
        calibration = taught.calibrated(directions)
        threshold = calibration.image_threshold
        alarms = [taught.score(other, calibration, directions) > threshold.value for other in unseen]
        excess.append(np.mean(alarms) - threshold.guaranteed_rate)
    return np.array(excess)


@pytest.mark.parametrize("repeats", [6, pytest.param(150, marks=pytest.mark.slow)])
def test_the_promise_holds_with_a_lesson(recipe: Recipe, repeats: int) -> None:
    """On average over calibration sets, as the promise says."""
    excess = excess_alarms(recipe, repeats)
    assert excess.mean() <= 2 * excess.std() / np.sqrt(repeats)


def test_folds_hold_every_kind() -> None:
    kinds = np.array(["a"] * 5 + ["b"] * 5)
    folds = dealt(kinds, 5)
    assert sorted(index for fold in folds for index in fold) == list(range(10))
    assert all(sorted(kinds[fold]) == ["a", "b"] for fold in folds)
