"""Raw maps of good parts -> calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trd.config import ScoringConfig
from trd.decision.calibration import Calibration, MapStatistics
from trd.decision.maps import Limits, Region, decide, rows_of_views, scored_pixels
from trd.decision.units import GoodMaps, units_without_each
from trd.errors import TRDError
from trd.statistics.conformal import Threshold, conformal_pixel_threshold, conformal_threshold
from trd.types import VIEW_SEPARATOR, PrecisionName


def calibrate(
    raw: Mapping[str, NDArray[np.float32]],
    regions: Sequence[Region],
    scoring: ScoringConfig,
    precision: PrecisionName | Literal[""] = "",
    names: Sequence[str] = (),
    views: Sequence[str] = (),
    limits: Sequence[Limits] = (),
) -> Calibration:
    """raw: branch -> (N, h, w) raw maps of N good parts. regions: N of scored pixels. precision: the engine's. names: N
    ids of the parts. views: of each part, one above the other in the maps; each has units of its own. limits: N of
    factors on the decision limit, none for 1 everywhere.

    Each part's score and pixels are taken in units of the other parts (`Calibration.good_scores`), and by its own
    limits: these are a part's own as its pixels are, so the argument for the promise stays. Units know no limits.
    Raises TRDError for maps that are not finite.
    """
    if not all(np.isfinite(maps).all() for maps in raw.values()):
        raise TRDError("the anomaly maps of good parts are not finite: training diverged; lower training.learning_rate")
    *leave_one_out_units, all_units = _units(raw, regions, scoring, views)
    unset = Threshold(0.0, 0.0, 1.0, 1)
    calibration = Calibration(
        all_units,
        scoring.sigma,
        (),
        unset,
        unset,
        scoring.calibration,
        precision,
        fusion=scoring.fusion,
        views=tuple(views),
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


def _units(
    raw: Mapping[str, NDArray[np.float32]], regions: Sequence[Region], scoring: ScoringConfig, views: Sequence[str]
) -> list[dict[str, MapStatistics]]:
    """`units_without_each`, of each view for itself."""
    if not views:
        return units_without_each(GoodMaps(raw, regions, scoring.sigma), scoring.fusion)
    height = next(iter(raw.values())).shape[-2]
    joined: list[dict[str, MapStatistics]] = [{} for _ in range(len(regions) + 1)]
    for view, rows in zip(views, rows_of_views(height, len(views)), strict=True):
        view_raw = {name: maps[rows] for name, maps in raw.items()}
        view_regions = [None if region is None else region[rows] for region in regions]
        units = units_without_each(GoodMaps(view_raw, view_regions, scoring.sigma), scoring.fusion)
        for all_views, one_view in zip(joined, units, strict=True):
            all_views |= {f"{view}{VIEW_SEPARATOR}{name}": numbers for name, numbers in one_view.items()}
    return joined
