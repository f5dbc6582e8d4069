"""The sections of a recipe: what each key means, its unit, its range and its default (docs/recipe.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

VectorAxes = Literal["y_down", "y_up"]
Probability = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # TOML's and PyTorch's integers


def printable(text: str) -> str:
    """The text. Raises ValueError for control characters."""
    if not text.isprintable():
        raise ValueError("must be printable characters")
    return text


def _plain_name(text: str) -> str:
    if not 0 < len(text) <= 64 or not text.isprintable() or set(text) & set("./\\"):
        raise ValueError("a modality's name is 1 to 64 printable characters without . / \\")
    return text


Source = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)]
ModalityName = Annotated[str, AfterValidator(_plain_name)]
CloudSource = Annotated[
    Source,
    Field(
        description="The organised cloud that it is made from: the name of its folder; `xyz`, `depth`, `pointcloud` "
        "and `cloud` are tried too."
    ),
]


class Frozen(BaseModel):
    """A section of a recipe: immutable, unknown keys and NaN refused.

    What its keys mean stands in their descriptions, from which docs/recipe.md is made (docs/recipe_reference.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, values: Any) -> Any:
        """Python takes true for 1."""
        for key, value in values.items() if isinstance(values, Mapping) else ():
            flags = [item for item in (value if isinstance(value, list | tuple) else [value]) if isinstance(item, bool)]
            if flags and key in cls.model_fields and cls.model_fields[key].annotation is not bool:
                raise ValueError(f"{key} cannot be {str(flags[0]).lower()}")
        return values


class ImageInput(Frozen):
    """A colour, grey or ready-made image, scaled from its integer range to [0, 1]."""

    representation: Annotated[Literal["image"], Field(description="A picture as it is.")] = "image"
    source: Annotated[Source, Field(description="The pictures that it is made from: the name of their folder.")] = "rgb"
    full_scale: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1, le=65535)],
        Field(
            description="The stored value that means white. `auto`: 255 in files of 8 bits, 65535 in files of 16. Set "
            "4095 for 12-bit values in 16-bit files. Floating-point arrays are in [0, 1] already."
        ),
    ] = "auto"
    vectors: Annotated[
        Literal["none", "y_down", "y_up"],
        Field(
            description="For ready-made normals, whose first two channels are x and y stored as (n + 1) / 2: where y "
            "points. Flips then turn the vectors with the picture."
        ),
    ] = "none"


class DepthImageInput(Frozen):
    """The paper's depth image of an organised cloud."""

    representation: Annotated[Literal["depth_image"], Field(description="Depth as a grey picture, as published.")]
    source: CloudSource = "xyz"
    background: Annotated[
        Literal["plane", "keep"],
        Field(
            description="`plane` blanks the support plane as published; `keep` takes every measured point, for scenes "
            "that do not stand on a plane."
        ),
    ] = "plane"


class SobelNormalsInput(Frozen):
    """The paper's normals image."""

    representation: Annotated[Literal["sobel_normals"], Field(description="Normals by Sobel filters, as published.")]
    source: CloudSource = "xyz"
    kernel: Annotated[
        Literal[3, 5, 7],
        Field(
            description="Side of the Sobel filter; the paper has one per class.",
            json_schema_extra={"unit": "pixels of the cloud"},
        ),
    ] = 5


class SurfaceNormalsInput(Frozen):
    """Our metric normals: slopes relative to the support plane, by a weighted plane fit around every point."""

    representation: Annotated[Literal["surface_normals"], Field(description="Metric normals (ours).")]
    source: CloudSource = "xyz"
    sigma: Annotated[
        float,
        Field(
            ge=0.5,
            le=20,
            description="Of the Gaussian that weights the points of each plane fit.",
            json_schema_extra={"unit": "pixels of the cloud"},
        ),
    ] = 2.0
    slope_gain: Annotated[
        float,
        Field(
            gt=0,
            le=100,
            description="Multiplies the slopes before they become normals, so that shallow dents use the range that "
            "the teacher answers to.",
        ),
    ] = 3.0


ModalityInput = Annotated[
    ImageInput | DepthImageInput | SobelNormalsInput | SurfaceNormalsInput, Field(discriminator="representation")
]


class ScoringConfig(Frozen):
    """How raw maps become scores and decisions."""

    sigma: Annotated[
        float,
        Field(
            ge=0,
            le=50,
            description="Of the Gaussian over the fused map; 0 smooths nothing.",
            json_schema_extra={"unit": "pixels of the network's input"},
        ),
    ] = 4.0
    fusion: Annotated[
        Literal["sum", "norm"],
        Field(
            description="Of the branches' maps: `sum` of their z-scores as published; `norm` is the root of the sum of "
            "their squares, each branch measured from its median in units of what good parts reach at their worst "
            "place, so that a quiet branch is not drowned by another one's noise (docs/calibration.md)."
        ),
    ] = "sum"
    region: Annotated[
        Literal["auto", "part", "frame"],
        Field(
            description="`frame` scores every pixel as published, `part` only those on and near the part, `auto` "
            "decides as `frame.crop` does."
        ),
    ] = "frame"
    false_alarm_rate: Annotated[
        Probability, Field(description="Of good parts, for the threshold of decisions (docs/calibration.md).")
    ] = 0.05
    pixel_false_alarm_rate: Annotated[
        Probability, Field(description="Share of a good part's pixels above the threshold of the map.")
    ] = 0.01
    calibration: Annotated[
        Literal["split", "cross"],
        Field(
            description="`split` sets thresholds on good parts kept out of training: the validation split, or "
            "`holdout` of the training parts. `cross` keeps none out: `folds` further detectors are trained, each "
            "without its share of all good parts, which it then scores."
        ),
    ] = "split"
    holdout: Annotated[
        Probability,
        Field(
            description="Share of the training parts held out for calibration where there is no validation split; "
            "where the false-alarm rate needs more parts, more of them, up to a third. `split` only."
        ),
    ] = 0.15
    calibration_parts: Annotated[
        Literal["validation", "enough"],
        Field(
            description="`validation`: the validation split, or what is held out, at least as many as the false-alarm "
            "rate needs (19 for 5 %). The greatest good score is then the threshold, and a single odd part sets it. "
            "`enough`: what a validation split lacks is held out of training too, up to a third of it for that "
            "number, and up to `holdout` so that the second greatest score is the threshold (39 for 5 %). `split` only."
        ),
    ] = "validation"
    folds: Annotated[int, Field(ge=2, le=20, description="Detectors trained for calibration. `cross` only.")] = 5
    stand_ins: Annotated[
        bool,
        Field(
            description="For every sensor, also fit and calibrate a detector that does without it, by the recipe's "
            "bank and patch statistics of the others: `trd predict --without xyz` (docs/missing-sensor.md)."
        ),
    ] = False


Layer = Annotated[int, Field(ge=1, le=1000)]
OWN_TEACHERS = ("wide_resnet50_2", "efficientnet_lite0")
TIMM_NAME = re.compile(r"timm:[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


def _known_teacher(name: str) -> str:
    if name not in OWN_TEACHERS and not TIMM_NAME.fullmatch(name):
        raise ValueError(
            f"expected {', '.join(OWN_TEACHERS)} or timm:NAME (timm:resnet18.a1_in1k), found '{name[:100]}'"
        )
    return name


class BackboneConfig(Frozen):
    """The frozen network whose features evidence works on."""

    name: Annotated[
        str,
        AfterValidator(_known_teacher),
        Field(
            description="`wide_resnet50_2`: the paper's large network; `efficientnet_lite0`: a small one that comes "
            "with the package; `timm:NAME`: one of timm, an extra (docs/teachers.md)."
        ),
    ] = "efficientnet_lite0"
    weights: Annotated[
        str,
        Field(
            description="`auto`: the published file, from the package, the cache or a download; `random`: for "
            "tests; else the path of a file (.pth, .safetensors)."
        ),
    ] = "auto"
    layers: Annotated[
        tuple[Layer, Layer, Layer] | Literal["auto"],
        Field(
            description="Which blocks of a transformer of timm give the levels, fine to coarse, counted from 1; `auto` "
            "is at 1/2, 3/4 and all of the depth."
        ),
    ] = "auto"

    @model_validator(mode="after")
    def _layers_of_timm(self) -> BackboneConfig:
        if self.layers != "auto" and self.name in OWN_TEACHERS:
            raise ValueError(f"teacher.layers is for transformers of timm, not for {self.name}")
        return self
