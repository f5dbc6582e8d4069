"""What the report of a class shows of its evaluation."""

from pathlib import Path
from typing import Any

import pytest

from trd.data.listing import class_folders
from trd.detector import Detector
from trd.evaluation import curves, evaluate
from trd.evaluation.evaluate import FUSED, evaluate_class
from trd.evaluation.report import class_section
from trd.preprocess.pipeline import Pipeline


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often pixel curves were computed, and samples prepared."""
    count = {"curves": 0, "prepared": 0}

    def counting(what: str, original: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            count[what] += 1
            return original(*arguments, **options)

        return counted

    counted = counting("curves", curves.pixel_curves)
    for module in (curves, evaluate):
        monkeypatch.setattr(module, "pixel_curves", counted)
    monkeypatch.setattr(Pipeline, "__call__", counting("prepared", Pipeline.__call__))
    return count


def test_pixel_curves_and_preparation_are_done_once(quick_run: Path, drawn: Path, calls: dict[str, int]) -> None:
    detector = Detector.load(quick_run, "cpu")
    result = evaluate_class(detector, class_folders(drawn)[0])
    kinds = set(result.defects) - {"good"}
    assert calls == {"curves": len(result.maps) + len(kinds), "prepared": len(result.ids)}
    assert result.pro.keys() == result.maps.keys()
    rate, overlap = result.pro[FUSED]
    assert rate[0] == 0
    assert rate[-1] <= 0.3
    assert 0 <= overlap.min() <= overlap.max() == pytest.approx(1)
    calls.update(curves=0, prepared=0)
    section = class_section(detector, result)
    assert calls == {"curves": 0, "prepared": len(section["gallery"])}
    for row in section["gallery"]:
        assert row["score"] == pytest.approx(result.scores[FUSED][result.ids.index(row["sample"])])
