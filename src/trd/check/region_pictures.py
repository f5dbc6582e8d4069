"""What the recipe says of places, drawn on training parts, so that a user sees what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from trd.config import RegionConfig
from trd.evaluation.figures import Picture, as_picture, data_uri
from trd.preprocess.pipeline import Pipeline
from trd.preprocess.view_pipeline import AnyPipeline
from trd.types import PreparedSample

SHOWN = 3  # parts, where regions follow the part
WIDTH = 512  # pixels of a picture at least
COLOURS = ((255, 220, 0), (0, 200, 255), (255, 90, 200), (120, 255, 80), (255, 140, 40), (170, 150, 255))


@dataclass(frozen=True)
class RegionPictures:
    """pictures: id of the part, data URI. facts: label -> what it covers and says, in order; the pictures name labels
    by their number in it."""

    pictures: tuple[tuple[str, str], ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def region_pictures(pipeline: AnyPipeline, parts: Sequence[PreparedSample]) -> RegionPictures:
    """On the part in whose frame the regions are; where they follow it, on others too."""
    if not isinstance(pipeline, Pipeline):  # with several views there are no regions
        return RegionPictures()
    written = dict(pipeline.regions.written())
    if not written:
        return RegionPictures()
    reference, config = pipeline.frame.reference, pipeline.recipe.frame
    own = [part for part in parts if reference is None or part.id == reference.part]
    others = [part for part in parts if part is not own[0]] if config.follows_part else []
    shown = [own[0], *others[: SHOWN - 1]]
    limits = {f"region {region.name}": _said(region) for region in config.regions}
    facts = {
        f"{number} {label}": f"{mask.mean():.1%} of the window{limits.get(label, '')}"
        for number, (label, mask) in enumerate(written.items(), 1)
    }
    return RegionPictures(tuple((part.id, data_uri(_drawn(part, written, config.regions))) for part in shown), facts)


def _said(region: RegionConfig) -> str:
    limit = f"limit x {region.limit:g}" if isinstance(region.limit, float) else region.limit
    return f", {limit}" + (", follows the part" if region.follows == "part" else "")


def _drawn(part: PreparedSample, written: dict[str, NDArray[np.bool_]], regions: Sequence[RegionConfig]) -> Picture:
    places = {f"region {region.name}": number for number, region in enumerate(regions, 1)}
    picture = as_picture(next(iter(part.images.values())))
    height, width = picture.shape[:2]
    factor = -(-WIDTH // width)
    size = (factor * width, factor * height)
    picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    for number, (label, mask) in enumerate(written.items(), 1):
        # where it lies on this part
        here = part.named == places[label] if part.named is not None and label in places else mask
        if here.any():
            colour = COLOURS[(number - 1) % len(COLOURS)]
            large = cv2.resize(here.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
            inner = cv2.erode(large.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            picture[large & ~inner] = colour  # holes have an outline too
            _number(picture, large, str(number), colour)
    return picture


def _number(picture: Picture, mask: NDArray[np.bool_], number: str, colour: tuple[int, int, int]) -> None:
    """Writes the number at the place of the mask that is farthest from its rim."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    place = (int(column) - 6 * len(number), int(row) + 8)
    for thickness, shade in ((4, (0, 0, 0)), (1, colour)):
        cv2.putText(picture, number, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, shade, thickness, cv2.LINE_AA)
