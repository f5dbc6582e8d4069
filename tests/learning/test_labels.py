"""Which good parts look like the taught defects: parts of made-up channels, without images."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from lesson_parts import part

from trd.config import KNOWN_DEFECTS, Recipe, ScoringConfig, load_recipe
from trd.evidence.known_defects.channels import Channels
from trd.learning.heads import Lesson
from trd.learning.labels import DoubtfulLabels, LessonOn, asked_about, likenesses
from trd.learning.parts import LessonPart

CHANNEL = 5  # of the taught defects
SCORING = ScoringConfig(sigma=4.0, fusion="norm", false_alarm_rate=0.05)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("patch-statistics", ("frame.size=64",)).changed(f"evidence.{KNOWN_DEFECTS}=true")


@pytest.fixture(scope="module")
def channels(recipe: Recipe) -> Channels:
    return Channels(recipe)


@pytest.fixture(scope="module")
def lesson_on(recipe: Recipe, channels: Channels) -> LessonOn:
    made = partial(part, channels)
    training, calibration = [made(100 + i) for i in range(12)], [made(200 + i) for i in range(20)]
    defects = [made(300 + i, "scratch", CHANNEL) for i in range(8)]

    def lesson(further: Sequence[LessonPart]) -> Lesson:
        branches = ("rgb_statistics", "normals_statistics")
        return Lesson.of(Channels(recipe), [*training, *further], calibration, defects, branches, SCORING, 2.0)

    return lesson


def good_parts(channels: Channels, lamp: float = 0.0) -> list[LessonPart]:
    """lamp: what all of them have more of in the channel of the taught defects."""
    return [under(lamp, part(channels, 400 + index)) for index in range(8)]


def under(lamp: float, given: LessonPart) -> LessonPart:
    plain = given.plain.clone()
    plain[CHANNEL] += lamp
    return replace(given, kind="good", marked=None, plain=plain)


@pytest.mark.parametrize("lamp", [0.0, 1.0])
def test_a_defect_among_good_parts_is_asked_about(lesson_on: LessonOn, channels: Channels, lamp: float) -> None:
    """Also under another lamp, which changes all of them alike."""
    good = good_parts(channels, lamp)
    wrong = under(lamp, part(channels, 501, "scratch", CHANNEL))
    alike = likenesses(lesson_on, [*good, wrong])
    assert list(alike) == [named.id for named in (*good, wrong)]
    assert [name for name, likeness in alike.items() if likeness.doubtful] == [wrong.id]
    with pytest.raises(DoubtfulLabels, match=f"1 of 9 good parts look like the labelled defects: {wrong.id}"):
        asked_about(lesson_on, [*good, wrong], sure=False)


def test_good_parts_are_not(lesson_on: LessonOn, channels: Channels) -> None:
    alike = asked_about(lesson_on, good_parts(channels), sure=False)
    assert not any(likeness.doubtful for likeness in alike.values())


def test_somebody_who_has_looked_is_not_asked(lesson_on: LessonOn, channels: Channels) -> None:
    wrong = under(0.0, part(channels, 501, "scratch", CHANNEL))
    alike = asked_about(lesson_on, [*good_parts(channels), wrong], sure=True)
    assert alike[wrong.id].response > alike[wrong.id].limit
