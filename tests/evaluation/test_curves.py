from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from trd.evaluation.curves import AUPRO_LIMITS, aupro_key, evaluate_maps, image_curves, pixel_curves, region_labels

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", ["metrics_visible", "metrics_visible_ties"])
def test_golden_numbers_of_the_reference(name: str) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    maps, masks = golden["maps"], golden["masks"].astype(bool)
    ours = evaluate_maps(maps, masks)
    for level, key in (("pixel", "pixel_auroc_ap_f1max"), ("image", "image_auroc_ap_f1max")):
        values = [ours[f"{level}_{metric}"] for metric in ("auroc", "ap", "f1max")]
        np.testing.assert_allclose(values, golden[key], atol=1e-6)
    exact = [ours[aupro_key(limit)] for limit in AUPRO_LIMITS]
    np.testing.assert_allclose(exact, golden["aupro_all_thresholds@30_10_5_1"], atol=1e-8)
    for thresholds in (100, 2000):
        sampled = evaluate_maps(maps, masks, aupro_thresholds=thresholds)
        values = [sampled[aupro_key(limit)] for limit in AUPRO_LIMITS]
        np.testing.assert_allclose(values, golden[f"aupro_{thresholds}_thresholds@30_10_5_1"], atol=1e-6)


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_against_scikit_learn(digits: int) -> None:
    rng = np.random.default_rng(digits)
    scores = rng.normal(size=500).round(digits).astype(np.float32)
    labels = rng.random(500) < 0.3
    curves = image_curves(scores, labels)
    assert curves.auroc() == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert curves.average_precision() == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    assert curves.f1max() == pytest.approx(f1.max(), abs=1e-9)


def plain_aupro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """Threshold by threshold over every good pixel: slow and obvious."""
    labels, sizes = region_labels(masks)
    good = np.sort(maps[labels == 0])[::-1]
    rates = np.append(np.arange(len(good)) / len(good), 1.0)
    overlaps = [np.mean([(maps[labels == r] > s).mean() for r in range(1, len(sizes))]) for s in good] + [1.0]
    inside = rates <= limit
    at_limit = np.interp(limit, rates, overlaps)
    x, y = np.append(rates[inside], limit), np.append(np.array(overlaps)[inside], at_limit)
    return float(np.trapezoid(y, x) / limit)


def test_counting_as_on_a_gpu() -> None:
    """With PyTorch's sort and search, which any device has; "cpu:0" is the CPU by another name."""
    rng = np.random.default_rng(0)
    maps, masks = rng.normal(size=(4, 32, 32)).astype(np.float32).round(1), np.zeros((4, 32, 32), bool)
    masks[:2, 5:15, 5:20] = True
    assert evaluate_maps(maps, masks, device="cpu:0") == evaluate_maps(maps, masks)
    maps[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        evaluate_maps(maps, masks, device="cpu:0")


@pytest.mark.parametrize("limit", AUPRO_LIMITS)
def test_aupro_against_a_plain_loop(limit: float) -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 16, 16), bool)
    masks[0, 2:6, 2:7] = masks[0, 10:12, 10:12] = masks[1, 5:15, 5:6] = True
    maps = (rng.normal(size=masks.shape) + masks).round(1).astype(np.float32)
    assert pixel_curves(maps, masks).aupro(limit) == pytest.approx(plain_aupro(maps, masks, limit), abs=1e-12)


def test_every_region_weighs_the_same_and_diagonal_pixels_touch() -> None:
    masks = np.zeros((1, 12, 12), bool)
    masks[0, :6, :6] = True  # 36 pixels, found at once
    masks[0, 9, 9] = masks[0, 10, 10] = True  # one region of two pixels, never found
    maps = np.where(masks, 1.0, 0.0).astype(np.float32)
    maps[0, 9, 9] = maps[0, 10, 10] = -1
    assert region_labels(masks)[1].tolist() == [106, 36, 2]
    assert pixel_curves(maps, masks).aupro(0.3) == pytest.approx(0.5)


def test_metrics_depend_on_order_alone() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((2, 20, 20)) < 0.1
    masks[1] = False
    maps = rng.normal(size=masks.shape).astype(np.float32)
    stretched = np.exp(maps.astype(np.float64)).astype(np.float32)
    assert evaluate_maps(maps, masks) == pytest.approx(evaluate_maps(stretched, masks))


def test_perfect_and_inverted_maps() -> None:
    masks = np.zeros((2, 10, 10), bool)
    masks[0, 3:5, 3:5] = True
    perfect = evaluate_maps(masks.astype(np.float32), masks)
    assert all(value == pytest.approx(1) for value in perfect.values())
    inverted = evaluate_maps(-masks.astype(np.float32), masks)
    assert inverted["pixel_auroc"] == 0
    assert inverted["aupro_30"] == 0


def test_one_kind_alone_gives_nan_and_wrong_input_an_error() -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    assert np.isnan(evaluate_maps(maps, np.zeros((2, 4, 4), bool))["pixel_auroc"])
    with pytest.raises(ValueError, match="maps are"):
        pixel_curves(maps, np.zeros((2, 4, 5), bool))
    maps[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        pixel_curves(maps, np.ones((2, 4, 4), bool))


def scored(seed: int = 0, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = np.zeros((7, 24, 24), bool)
    masks[1, 3:9, 4:20] = masks[2, 10:12, 1:3] = masks[2, 20:, 20:] = masks[6, ::5, ::5] = True
    return (rng.normal(size=masks.shape) + 0.7 * masks).round(digits).astype(np.float32), masks


@pytest.mark.parametrize("chunk", [1, 576, 2000])
def test_chunks_add_up(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, masks = scored()
    whole = evaluate_maps(maps, masks) | {"sampled": evaluate_maps(maps, masks, aupro_thresholds=100)["aupro_1"]}
    monkeypatch.setattr("trd.evaluation.curves.CHUNK", chunk)
    parts = evaluate_maps(maps, masks) | {"sampled": evaluate_maps(maps, masks, aupro_thresholds=100)["aupro_1"]}
    assert parts == whole


def test_memory_mapped_maps_and_masks(tmp_path: Path) -> None:
    maps, masks = scored()
    np.save(tmp_path / "maps.npy", maps)
    np.save(tmp_path / "masks.npy", masks)
    mapped = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("maps", "masks"))
    assert evaluate_maps(*mapped) == evaluate_maps(maps, masks)


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 4, 5)])
def test_nan_is_refused_among_good_and_defective_pixels(place: tuple[int, int, int]) -> None:
    maps, masks = scored()
    maps[place] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        pixel_curves(maps, masks)


def test_roc_corners_enclose_the_auroc() -> None:
    maps, masks = scored(digits=1)
    curves = pixel_curves(maps, masks)
    rate, found = curves.roc()
    assert np.trapezoid(found, rate) == pytest.approx(curves.auroc(), abs=1e-12)
    assert curves.auroc() == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
