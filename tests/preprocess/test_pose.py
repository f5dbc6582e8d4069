"""Position and angle of a part in the picture's plane, of parts that are turned and shifted by known amounts."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from trd.preprocess.pose import PartView, Pose, PoseReference

SIDE = 160


def heights(shape: str, degrees: float = 0.0, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """(SIDE, SIDE) metres over the support: a part around the middle, turned about that, then shifted."""
    field = np.zeros((SIDE, SIDE), np.float32)
    middle = (SIDE - 1) / 2
    match shape:
        case "angle":
            field[50:110, 50:75] = field[85:110, 50:120] = 0.01
        case "square":
            field[50:110, 50:110] = 0.01
        case "knob":
            cv2.circle(field, (80, 80), 35, 0.01, cv2.FILLED)
            cv2.circle(field, (100, 80), 8, 0.016, cv2.FILLED)
        case "disc":
            cv2.circle(field, (80, 80), 35, 0.01, cv2.FILLED)
    turn = cv2.getRotationMatrix2D((middle, middle), -degrees, 1)
    turn[:, 2] += shift
    return cv2.warpAffine(field, turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR)


def view(field: np.ndarray, grey: np.ndarray | None = None, scale: float = 1.0) -> PartView:
    found = PartView.of(field, field > 0.003, grey, scale)
    assert found is not None
    return found


def posed(shape: str, degrees: float, shift: tuple[float, float] = (0, 0)) -> Pose:
    return PoseReference.of("first", view(heights(shape))).pose(view(heights(shape, degrees, shift)))


@pytest.mark.parametrize("shape", ["angle", "knob"])
@pytest.mark.parametrize(
    ("degrees", "shift"), [(0.0, (0.0, 0.0)), (37.3, (12.4, -7.0)), (-121.8, (-15.0, 4.5)), (179.6, (3, 3))]
)
def test_turned_and_shifted_parts(shape: str, degrees: float, shift: tuple[float, float]) -> None:
    """The outline tells the angle, or else what stands on the part."""
    pose = posed(shape, degrees, shift)
    assert (pose.degrees - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.6)
    before = np.array(view(heights(shape)).centre) - (SIDE - 1) / 2
    turn = np.radians(degrees)
    expected = [
        np.cos(turn) * before[0] - np.sin(turn) * before[1],
        np.sin(turn) * before[0] + np.cos(turn) * before[1],
    ]
    assert np.subtract(pose.centre, np.add(expected, shift) + (SIDE - 1) / 2) == pytest.approx([0, 0], abs=0.5)
    assert not pose.note


def test_a_print_tells_a_disc_s_angle() -> None:
    grey = np.full((SIDE, SIDE), 90, np.float32)
    cv2.rectangle(grey, (85, 70), (105, 90), 200, cv2.FILLED)
    turned = cv2.warpAffine(grey, cv2.getRotationMatrix2D((80, 80), -64, 1), (SIDE, SIDE))
    reference = PoseReference.of("first", view(heights("disc"), grey))
    pose = reference.pose(view(heights("disc"), turned))
    assert pose.degrees == pytest.approx(64, abs=1)
    assert not pose.note
    assert "resembles" in reference.pose(view(heights("disc"))).note  # a picture that does not come


def test_what_looks_the_same_at_two_angles_is_uncertain() -> None:
    pose = posed("square", 20)
    assert "uncertain: the part looks about the same turned by" in pose.note
    assert abs((pose.degrees - 20 + 45) % 90 - 45) < 0.6


def test_a_part_unlike_the_reference_is_uncertain() -> None:
    pose = PoseReference.of("first", view(heights("angle"))).pose(view(heights("disc")))
    assert "the part resembles the reference part by" in pose.note


def test_too_little_is_no_part() -> None:
    assert PartView.of(np.zeros((20, 20), np.float32), np.zeros((20, 20), bool), None, 1.0) is None


def test_frames_of_another_size_have_the_same_pose() -> None:
    large = cv2.resize(heights("angle", 50), (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_LINEAR)
    reference = PoseReference.of("first", view(heights("angle")))
    there, half = reference.pose(view(heights("angle", 50))), reference.pose(view(large, scale=0.5))
    assert half.degrees == pytest.approx(there.degrees, abs=0.3)
    assert half.centre == pytest.approx(there.centre, abs=0.3)


def test_the_reference_is_kept_as_json() -> None:
    reference = PoseReference.of("first", view(heights("angle")))
    stored = json.loads(json.dumps(reference.to_json()))
    again = PoseReference.from_json(stored)
    assert again == reference
    assert again.pose(view(heights("angle", 33))) == reference.pose(view(heights("angle", 33)))
    assert len(reference.unrolled) < 40_000


@pytest.mark.parametrize(
    "damage",
    [{"radius": 0}, {"radius": float("nan")}, {"centre": [1]}, {"unrolled": "xx"}, {"unrolled": "eJwDAAAAAAE="}],
)
def test_a_damaged_reference_is_refused(damage: dict[str, object]) -> None:
    stored = PoseReference.of("first", view(heights("angle"))).to_json()
    with pytest.raises((ValueError, KeyError, TypeError)):
        PoseReference.from_json({**stored, **damage})
