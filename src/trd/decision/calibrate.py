"""Raw maps of good parts -> calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trd.config import ScoringConfig
from trd.decision.calibration import Calibration
from trd.decision.maps import Limits, Region, decide, scored_pixels
from trd.decision.units import GoodMaps, units_without_each
from trd.errors import TRDError
from trd.statistics.conformal import Threshold, conformal_pixel_threshold, conformal_threshold
from trd.types import PrecisionName


def calibrate(
    raw: Mapping[str, NDArray[np.float32]],
    regions: Sequence[Region],
    scoring: ScoringConfig,
    precision: PrecisionName | Literal[""] = "",
    names: Sequence[str] = (),
    limits: Sequence[Limits] = (),
) -> Calibration:
    """raw: branch -> (N, h, w) raw maps of N good parts. regions: N of scored pixels. precision: the engine's. names: N
    ids of the parts. limits: N of factors on the decision limit, none for 1 everywhere.

    Each part's score and pixels are taken in units of the other parts (`Calibration.good_scores`), and by its own
    limits: these are a part's own as its pixels are, so the argument for the promise stays. Units know no limits.
    Raises TRDError for maps that are not finite.
    """
    if not all(np.isfinite(maps).all() for maps in raw.values()):
        raise TRDError("the anomaly maps of good parts are not finite: training diverged; lower training.learning_rate")
    *leave_one_out_units, all_units = units_without_each(GoodMaps(raw, regions, scoring.sigma), scoring.fusion)
    unset = Threshold(0.0, 0.0, 1.0, 1)
    calibration = Calibration(
        all_units, scoring.sigma, (), unset, unset, scoring.calibration, precision, fusion=scoring.fusion
    )
    scores, pixels = [], []
    for index, (units, region) in enumerate(zip(leave_one_out_units, regions, strict=True)):
        part_maps, own_limits = {name: maps[index] for name, maps in raw.items()}, limits[index] if limits else None
        part = decide(replace(calibration, maps=units), part_maps, region, limits=own_limits)
        scores.append(float(part.score))
        pixels.append(scored_pixels(part.fused, region))
    order = np.argsort(scores, kind="stable")
    ordered = np.array(scores)[order]
    return replace(
        calibration,
        good_scores=tuple(ordered.tolist()),
        good_parts=tuple(names[index] for index in order) if names else (),
        image_threshold=conformal_threshold(ordered, scoring.false_alarm_rate),
        pixel_threshold=conformal_pixel_threshold(pixels, scoring.pixel_false_alarm_rate),
    )
