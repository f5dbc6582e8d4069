"""What a prediction says, and what can be predicted from."""

from dataclasses import replace

import numpy as np
import pytest

import trd
from trd.detector import Detector
from trd.errors import DataError
from trd.types import Failure, Sample


def test_a_prediction_says_what_it_promises(detector: Detector, samples: list[Sample]) -> None:
    for sample in samples:
        p = detector.predict(sample)
        assert p.map.shape == (192, 192)
        assert p.map.dtype == np.float32
        assert p.modality_maps.keys() == {"rgb", "normals", "rgb_statistics", "normals_statistics"}
        assert p.share.keys() == p.modality_maps.keys()
        # the maps add up in squares of what is above 0, but for the resizing
        together = np.sqrt(sum(np.square(np.maximum(m, 0)) for m in p.modality_maps.values()))
        together = np.where(together > 0, together, np.max(list(p.modality_maps.values()), axis=0))
        assert (together <= p.map + 1e-4).all()
        assert np.abs(p.map - together).mean() < 0.02 * p.map.max()
        assert sum(p.share.values()) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in p.share.values())
        assert p.is_anomalous == (p.score > p.threshold)
        assert 0 < p.p_value <= 1
        # the map at the input's size is the network's, resized: its highest place is the peak, but for the resizing
        rows, columns = detector.facts.frame.window_in((192, 192))
        pixels = max((rows.stop - rows.start), (columns.stop - columns.start)) / 64
        highest = np.unravel_index(int(p.map.argmax()), p.map.shape)
        assert np.abs(np.subtract(highest, p.peak)).max() <= pixels + 1
        assert p.map.max() == pytest.approx(p.score, rel=0.02)


def test_score_and_shares_are_those_of_the_highest_place(detector: Detector, samples: list[Sample]) -> None:
    for sample in samples:
        p = detector.predict(sample)
        (scored,) = detector.score([detector.pipeline(sample)])
        above = {name: np.maximum(m, 0) for name, m in scored.branch_maps.items()}
        squares = sum(np.square(m) for m in above.values())
        np.testing.assert_allclose(np.square(np.maximum(scored.fused, 0)), squares, rtol=1e-4, atol=1e-6)
        row, column = np.unravel_index(int(squares.argmax()), squares.shape)
        assert p.score == pytest.approx(float(squares[row, column]) ** 0.5, rel=1e-4)
        for name, m in above.items():
            assert p.share[name] == pytest.approx(float(m[row, column] ** 2 / squares[row, column]), abs=1e-4)


def test_batches_equal_single_predictions(detector: Detector, samples: list[Sample]) -> None:
    together = list(detector.predict_many(samples, batch_size=3))
    for one, sample in zip(together, samples, strict=True):
        alone = detector.predict(sample)
        assert one.id == sample.id
        assert one.score == pytest.approx(alone.score, abs=1e-3)
        np.testing.assert_allclose(one.map, alone.map, atol=1e-2)


def test_plain_arrays_will_do(detector: Detector, samples: list[Sample]) -> None:
    p = detector.predict({"rgb": samples[0].arrays["rgb"], "xyz": samples[0].arrays["xyz"]})
    other = detector.predict(samples[0])
    assert p.score == other.score


def test_frames_of_another_size_are_scaled(detector: Detector, samples: list[Sample]) -> None:
    doubled = {n: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1) for n, a in samples[0].arrays.items()}
    p = detector.predict(doubled)
    assert p.map.shape == (384, 384)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a.pop("xyz"), "has no 'xyz'"),
        (lambda a: a.update(xyz=np.zeros_like(a["xyz"])), "no valid depth"),
        (lambda a: a.update(xyz=np.full_like(a["xyz"], np.nan)), "no valid depth"),
        (lambda a: a.update(rgb=np.full(a["rgb"].shape, np.nan)), "NaN or infinite"),
        (lambda a: a.update(xyz=a["xyz"][:50]), "its partners"),
        (lambda a: a.update(xyz=a["xyz"][..., 2]), r"must be \(H, W, 3\)"),
        (lambda a: a.update(xyz=np.dstack([a["xyz"], a["xyz"][..., :1]])), r"must be \(H, W, 3\), got \(192, 192, 4\)"),
        (lambda a: a.update(xyz=a["xyz"][..., :2]), r"must be \(H, W, 3\)"),
        (lambda a: a.update(xyz=a["xyz"][:0], rgb=a["rgb"][:0]), r"must be \(H, W, 3\), got \(0, 192, 3\)"),
        (lambda a: a.update(xyz=(a["xyz"] * 1000).astype(np.uint16)), "divide them by 1000"),
        (lambda a: a.update(xyz=a["xyz"].tolist()), "must be a numpy array, got list"),
    ],
)
def test_arrays_that_cannot_be_used(detector: Detector, samples: list[Sample], change, complaint: str) -> None:
    arrays = dict(samples[0].arrays)
    change(arrays)
    with pytest.raises(DataError, match=complaint):
        detector.predict(arrays)


def test_public_names() -> None:
    assert {"Detector", "fit", "evaluate", "load_recipe", "Prediction"} <= set(trd.__all__)


def test_one_bad_sample_of_a_list_fails_alone(detector: Detector, samples: list[Sample]) -> None:
    blind = Sample("blind", {**samples[1].arrays, "xyz": np.zeros_like(samples[1].arrays["xyz"])})
    unread = Failure("unread", DataError("a.png cannot be read"))
    outcomes = list(detector.predict_many([samples[0], blind, unread, samples[1]], batch_size=4))
    assert [outcome.id for outcome in outcomes] == [samples[0].id, "blind", "unread", samples[1].id]
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, True, False]
    assert "no valid depth" in str(outcomes[1].error)
    assert outcomes[3].score == pytest.approx(detector.predict(samples[1]).score, abs=1e-3)
    assert list(detector.predict_many([])) == []


def test_notes_reach_the_prediction(detector: Detector, samples: list[Sample]) -> None:
    assert detector.predict(samples[0]).notes == ()
    doubled = {n: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1) for n, a in samples[0].arrays.items()}
    assert any("frame of 384 x 384 pixels" in note for note in detector.predict(doubled).notes)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_preparation_in_threads_changes_no_prediction(
    detector: Detector, samples: list[Sample], threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads within each sample, and many samples in the same threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = [detector.predict(sample) for sample in samples]
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    single = [detector.predict(sample) for sample in samples]
    together = list(detector.predict_many(samples * 4, batch_size=1))
    for expected, one in zip(alone * 5, [*single, *together], strict=True):
        assert not isinstance(one, Failure)
        np.testing.assert_array_equal(one.map, expected.map)
        assert (one.id, one.score, one.notes) == (expected.id, expected.score, expected.notes)


def test_a_frame_in_whose_window_no_pixel_lies_fails_alone(detector: Detector, samples: list[Sample]) -> None:
    tiny = Sample("tiny", {"rgb": np.zeros((3, 3, 3), np.uint8), "xyz": np.ones((3, 3, 3), np.float32)})
    middle = replace(detector.facts.frame, window=(100, 100, 10, 10))  # of 192 x 192
    detector = Detector(replace(detector.facts, frame=middle), detector.engine)
    outcomes = list(detector.predict_many([samples[0], tiny, samples[1]]))
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False]
    with pytest.raises(DataError, match=r"sample tiny, 'rgb': a frame of 3 x 3 pixels .* is too small"):
        detector.predict(tiny)
