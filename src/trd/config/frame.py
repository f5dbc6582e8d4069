"""The section `[frame]`: from a sensor's frame to the network's input, where the part is, and where defects count."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from trd.config.pictures import embedded_png
from trd.config.sections import Frozen, Source, printable


class PartConfig(Frozen):
    """How the part is found: as what stands on a flat support that is seen along the border (`preprocess.foreground`).

    Used for cropping and for scoring.
    """

    source: Annotated[
        Source | Literal[""],
        Field(description="The cloud in which the part is found; empty: the first that a modality is made from."),
    ] = ""
    clearance: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Height above the support from which on a point belongs to the part.",
            json_schema_extra={"unit": "metres"},
        ),
    ] = 0.003
    roughness: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="The largest median distance of the border's points from a plane that counts as a support.",
            json_schema_extra={"unit": "metres"},
        ),
    ] = 0.0015
    border: Annotated[
        float,
        Field(
            gt=0,
            le=0.4,
            description="Width of the border in which the support is sought.",
            json_schema_extra={"unit": "of the shorter side"},
        ),
    ] = 0.04
    facing: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Least cosine between the support's normal and the viewing direction: 0.3 is 72 degrees, and "
            "what is seen more steeply is no support.",
        ),
    ] = 0.3


SMALLEST, LARGEST = 64, 2048  # pixels of a side of the network's input

Pixels = Annotated[int, Field(ge=0, le=65535)]
Extent = Annotated[int, Field(ge=1, le=65535)]
Window = tuple[Pixels, Pixels, Extent, Extent]  # left, top, width, height


Coordinate = Annotated[float, Field(ge=-65535, le=65535)]
Polygon = Annotated[tuple[tuple[Coordinate, Coordinate], ...], Field(min_length=3, max_length=1000)]
Polygons = Annotated[tuple[Polygon, ...], Field(max_length=100)]
Picture = Annotated[str, AfterValidator(embedded_png)]
RegionName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(printable)]


class RegionConfig(Frozen):
    """A named place with a limit of its own. Where several overlap, the last one counts."""

    name: Annotated[RegionName, Field(description="As it stands in results.")]
    polygons: Annotated[
        Polygons,
        Field(
            description="As in `frame.inspect`.",
            json_schema_extra={"unit": "pixels of the training frames"},
        ),
    ] = ()
    picture: Annotated[
        Picture,
        Field(description="As `frame.inspect_picture`, in place of polygons or beside them."),
    ] = ""
    limit: Annotated[float, Field(ge=0.01, le=100)] | Literal["ignore", "inspect"] = Field(
        1.0,
        description="Factor on the decision limit: at 2 a place there must be twice as anomalous as elsewhere, at 0.5 "
        "half as anomalous. `ignore`: nothing counts there. `inspect`: as `frame.inspect`.",
    )
    follows: Annotated[
        Literal["frame", "part"],
        Field(
            description="`frame`: it stays where it is. `part`: it is shifted and turned with the part, as that lies "
            "in the picture's plane compared with `frame.reference`; the part must be seen on its support in 3D "
            "(`frame.part`)."
        ),
    ] = "frame"

    @model_validator(mode="after")
    def _somewhere(self) -> RegionConfig:
        if not (self.polygons or self.picture):
            raise ValueError(f"the region '{self.name}' is empty: give it polygons or a picture")
        return self


class FrameConfig(Frozen):
    """From a sensor's frame to the network's input."""

    size: Annotated[
        int,
        Field(
            ge=64,
            le=8192,
            multiple_of=32,
            description="Longer side of the network's input, or with `tile` of the image that tiles are cut from. "
            "Without tiles 2048 at most.",
            json_schema_extra={"unit": "pixels"},
        ),
    ] = 256
    tile: Annotated[
        int,
        Field(
            ge=0,
            le=2048,
            multiple_of=32,
            description="Side of the tiles in which the network sees a larger image, for defects that are small in "
            "the frame. They overlap by a quarter and share one calibration. 0: the image as a whole.",
            json_schema_extra={"unit": "pixels"},
        ),
    ] = 0
    aspect: Annotated[
        Literal["square", "keep"],
        Field(
            description="`square` stretches to size x size as published; `keep` keeps the aspect ratio, up to rounding "
            "each side to a multiple of 32."
        ),
    ] = "square"
    crop: Annotated[
        Literal["auto", "part", "none"] | Window,
        Field(
            description="`part` cuts the frame to the window that held the part in all training samples, found in 3D; "
            "`none` uses the whole frame; `auto` is `part` where nine in ten training samples show a part on a plane, "
            "else `none`. What was chosen is said once and recorded. Or a window of your own, `[left, top, width, "
            "height]` in pixels of the training frames: nothing outside of it is seen."
        ),
    ] = "none"
    margin: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Added to that window on each side.",
            json_schema_extra={"unit": "of the window's longer side"},
        ),
    ] = 0.08
    cloud_scale: Annotated[
        Annotated[float, Field(ge=1e-9, le=1e3)] | Literal["auto"],
        Field(
            description="Unit of the clouds: 0.001 for millimetres. `auto` takes clouds for millimetres that would "
            "be farther away than 20, wider than 5 or coarser than 0.02 a pixel in metres.",
            json_schema_extra={"unit": "metres per unit"},
        ),
    ] = 1.0
    missing: Annotated[
        tuple[Annotated[float, Field(ge=-3.5e38, le=3.5e38)], ...],
        Field(
            max_length=8,
            description='Values of z in the clouds that stand for "not measured", such as `[-9999]`, beside 0, NaN and '
            "infinite ones, which always do. For depth images, height maps, loose points and points of another "
            "sensor camera.json has `missing`.",
            json_schema_extra={"unit": "the clouds' unit"},
        ),
    ] = ()
    inspect: Annotated[
        Polygons,
        Field(
            description="Polygons, each `[[x, y], [x, y], [x, y], ...]`, inside of which defects count: the region of "
            "interest. Together with the part's region, where that is scored. None: everywhere.",
            json_schema_extra={"unit": "pixels of the training frames"},
        ),
    ] = ()
    ignore: Annotated[
        Polygons,
        Field(
            description="Polygons inside of which nothing counts: a label that changes, a clamp.",
            json_schema_extra={"unit": "pixels of the training frames"},
        ),
    ] = ()
    inspect_picture: Annotated[
        Picture,
        Field(
            description="A PNG of the training frames' size, painted where defects count: white on black, or any "
            "colour on transparent. In place of the polygons of `inspect` or beside them. Named relative to the "
            "recipe's file, on the command line to the current folder; its content is put into the recipe."
        ),
    ] = ""
    ignore_picture: Annotated[Picture, Field(description="The same for `ignore`: painted where nothing counts.")] = ""
    regions: Annotated[
        tuple[RegionConfig, ...],
        Field(
            max_length=100,
            description="Named regions with limits of their own, a table each: `[[frame.regions]]` (docs/data.md).",
        ),
    ] = ()
    reference: Annotated[
        str,
        Field(
            max_length=500,
            description="The good part in whose frame regions that follow the part are given, such as `003` or "
            "`train/good/003`; empty: the first one.",
        ),
    ] = ""
    part: Annotated[PartConfig, Field(description="How the part is found.")] = PartConfig()

    @model_validator(mode="after")
    def _names_once(self) -> FrameConfig:
        twice = [name for name, count in Counter(region.name for region in self.regions).items() if count > 1]
        if twice:
            raise ValueError(f"two regions are called '{twice[0]}': give one of them another name")
        return self

    @property
    def follows_part(self) -> bool:
        """Whether a region is shifted and turned with the part."""
        return any(region.follows == "part" for region in self.regions)

    @model_validator(mode="after")
    def _sides(self) -> FrameConfig:
        if 0 < self.tile < SMALLEST:
            raise ValueError(f"tile = {self.tile}: a tile has {SMALLEST} pixels at least; 0 is without tiles")
        if self.tile > self.size:
            raise ValueError(f"tile = {self.tile} is larger than size = {self.size}, the image that it is cut from")
        if not self.tile and self.size > LARGEST:
            raise ValueError(f"size = {self.size} is over {LARGEST}: cut it into tiles, such as tile = 320")
        return self
