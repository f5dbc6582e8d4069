"""The Recipe: every number of an experiment in one frozen, validated record; TOML in and out, unknown keys refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trd.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_RECIPE = "lite-rgb-normals"

JOINT = "joint"  # the one branch of a fused teacher

WITHOUT_EFFECT = ("feature_memory", "compile", "checkpoint_every")  # of training: on memory and time only

PoolSide = Literal[1, 3, 5, 7, 9]
Probability = Annotated[float, Field(gt=0, lt=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageInput(_Frozen):
    """A colour, grey or ready-made image, scaled from its integer range to [0, 1].

    full_scale: the value that means white; "auto" is 255 for 8 and 65535 for 16 bits. 4095 for 12-bit values in 16-bit
    files. Floating-point images are in [0, 1] already.
    """

    representation: Literal["image"] = "image"
    source: str = "rgb"
    full_scale: Literal["auto"] | Annotated[int, Field(ge=1, le=65535)] = "auto"


class DepthImageInput(_Frozen):
    """The paper's depth image of an organised cloud. background: "plane" blanks the support plane as published, "keep"
    takes every measured point, for scenes that do not stand on a plane."""

    representation: Literal["depth_image"]
    source: str = "xyz"
    background: Literal["plane", "keep"] = "plane"


class SobelNormalsInput(_Frozen):
    """The paper's normals image; `kernel` is its per-class Sobel size."""

    representation: Literal["sobel_normals"]
    source: str = "xyz"
    kernel: Literal[3, 5, 7] = 5


class SurfaceNormalsInput(_Frozen):
    """Our metric normals: `sigma` in pixels of the cloud, `slope_gain` multiplies the slopes before normalising."""

    representation: Literal["surface_normals"]
    source: str = "xyz"
    sigma: Annotated[float, Field(ge=0.5, le=20)] = 2.0
    slope_gain: Annotated[float, Field(gt=0, le=100)] = 3.0


ModalityInput = Annotated[
    ImageInput | DepthImageInput | SobelNormalsInput | SurfaceNormalsInput, Field(discriminator="representation")
]


class FrameConfig(_Frozen):
    """From a sensor's frame to the network's input.

    size: pixels of the longer side, a multiple of 32. aspect: "square" stretches to size x size as published, "keep"
    keeps the aspect ratio up to rounding each side to a multiple of 32. crop: "part" cuts the frame to the window
    that held the part in all training samples (found in 3D; see `preprocess.pipeline`), "none" uses the whole frame.
    margin: added on each side of that window, as a fraction of its longer side. part_source: the cloud in which the
    part is found, for cropping and scoring; "" takes the first that a modality is made from.
    """

    size: Annotated[int, Field(ge=64, le=2048, multiple_of=32)] = 256
    aspect: Literal["square", "keep"] = "square"
    crop: Literal["none", "part"] = "none"
    margin: Annotated[float, Field(ge=0, le=1)] = 0.08
    part_source: str = ""


class TeacherConfig(_Frozen):
    """weights: "auto" (the published file: package, cache or download), "random" (tests), or a path.

    standardize: every channel to mean 0, deviation 1 over the training set before the student sees it.
    """

    name: Literal["wide_resnet50_2", "efficientnet_lite0"] = "efficientnet_lite0"
    weights: str = "auto"
    standardize: bool = False


class StudentConfig(_Frozen):
    """branches: "per_modality" as published, or "fused": ONE student of all teachers' concatenated features, without
    tuners (the baseline that the paper argues against). filter and amplifier switch the crossmodal tuners (ablations).
    blocks per decoder stage, coarse to fine.
    """

    branches: Literal["per_modality", "fused"] = "per_modality"
    filter: bool = True
    amplifier: bool = True
    blocks: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (3, 4, 6)


class TrainingConfig(_Frozen):
    """Adam and its schedule. lr_decay multiplies the rate after each epoch (schedule "exponential").

    augment: "none" or "flips" (mirrorings and quarter turns, applied to all modalities together, vectors turned too).
    loss: "cosine" as published, "squared" is the relative squared error, which fixes the features' scale too.
    precision: "32", "bf16", or "auto" (bf16 where the processor multiplies it in hardware).
    compile: torch.compile the students, for long trainings on GPUs (a minute or two before the first step).
    accumulate: equal parts of a batch that go through the network one after the other and share a step, for GPUs with
    little memory; BatchNorm then sees the parts, and a last batch with fewer of them weighs less. feature_memory: GiB
    for the teacher's features of the training parts (in all eight views with "flips"), kept from epoch to epoch; of
    as many parts as fit, the others' are computed anew.
    checkpoint_every: epochs between resumable checkpoints. holdout: the part of training that stands in for a missing
    validation split. deterministic: bit-for-bit repeatable algorithms.
    """

    epochs: Annotated[int, Field(ge=1)] = 200
    batch_size: Annotated[int, Field(ge=1)] = 16
    learning_rate: Annotated[float, Field(gt=0)] = 0.005
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.999)
    schedule: Literal["exponential", "cosine"] = "exponential"
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.95
    augment: Literal["none", "flips"] = "none"
    loss: Literal["cosine", "squared"] = "cosine"
    precision: Annotated[Literal["32", "bf16", "auto"], BeforeValidator(str)] = "32"
    seed: Annotated[int, Field(ge=0)] = 42
    deterministic: bool = True
    compile: bool = False
    accumulate: Annotated[int, Field(ge=1)] = 1
    feature_memory: Annotated[float, Field(ge=0)] = 4.0
    checkpoint_every: Annotated[int, Field(ge=1)] = 10
    holdout: Probability = 0.15


class ScoringConfig(_Frozen):
    """How pyramids become maps, scores and decisions.

    distance: "cosine" as published, "residual" is ours (`scoring.residuals`), with `pool` cells per level, fine to
    coarse, and `context_floor`, the least distance expected of a place, in deviations of the log: -3 on the part, where
    every place counts; about 1 where the map covers background, whose quiet areas would otherwise be amplified.
    sigma: pixels of the network's input, of the Gaussian over the fused map. region: "frame" scores every pixel as
    published, "part" only those on and near the part. false_alarm_rate: of good parts, for the operating threshold;
    pixel_false_alarm_rate: share of a good part's pixels, for the map's threshold.
    """

    distance: Literal["cosine", "residual"] = "cosine"
    pool: tuple[PoolSide, PoolSide, PoolSide] = (3, 3, 1)
    context_floor: Annotated[float, Field(ge=-3, le=2)] = -3.0
    sigma: Annotated[float, Field(ge=0, le=50)] = 4.0
    region: Literal["frame", "part"] = "frame"
    false_alarm_rate: Probability = 0.05
    pixel_false_alarm_rate: Probability = 0.01


class Recipe(_Frozen):
    """A whole experiment. `classes` overrides any key for single classes: `[classes.cookie.modalities.normals]`."""

    name: str
    description: str = ""
    modalities: Annotated[dict[str, ModalityInput], Field(min_length=1)]
    frame: FrameConfig = FrameConfig()
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    training: TrainingConfig = TrainingConfig()
    scoring: ScoringConfig = ScoringConfig()
    classes: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        reserved = {"fused", "by_defect", "sampled_aupro", JOINT} & set(self.modalities)
        if reserved:
            raise ValueError(f"a modality cannot be called {sorted(reserved)}: results use that name")
        if self._needs_part and not self.point_cloud_sources:
            raise ValueError(
                "frame.crop or scoring.region is 'part', but no modality is made from a point cloud: the part is found "
                "in 3D; name the cloud in frame.part_source, or use crop = 'none' and region = 'frame'"
            )
        if self.scoring.distance == "residual" and self.training.loss != "squared":
            raise ValueError(
                "scoring.distance = 'residual' needs training.loss = 'squared': cosine leaves the scale open"
            )
        if len(self.branches) == 1 and not (self.student.filter and self.student.amplifier):
            raise ValueError("student.filter / amplifier are switched off, but one branch has no tuners to switch")
        if self.training.batch_size % self.training.accumulate:
            raise ValueError("training.batch_size must be a multiple of training.accumulate")
        for name in self.classes:
            self.for_class(name)  # a misspelt key shows now, not when that class has its turn
        return self

    @property
    def point_cloud_sources(self) -> tuple[str, ...]:
        """Sources that are organised clouds, in order, each once; the one in which the part is found comes first."""
        clouds = [m.source for m in self.modalities.values() if m.representation != "image"]
        if self._needs_part and self.frame.part_source:
            clouds.insert(0, self.frame.part_source)
        return tuple(dict.fromkeys(clouds))

    @property
    def vector_maps(self) -> tuple[str, ...]:
        """Modalities whose images hold vector components in image axes, which turn with the picture."""
        return tuple(n for n, m in self.modalities.items() if isinstance(m, SobelNormalsInput | SurfaceNormalsInput))

    @property
    def _needs_part(self) -> bool:
        return self.frame.crop == "part" or self.scoring.region == "part"

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that a sample must have, in order, each once."""
        return tuple(dict.fromkeys([*(m.source for m in self.modalities.values()), *self.point_cloud_sources]))

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the network's branches, one anomaly map each: the modalities, or one joint branch."""
        return (JOINT,) if self.student.branches == "fused" else tuple(self.modalities)

    def branch_channels(self, teacher_channels: Sequence[int]) -> tuple[int, ...]:
        """Widths of one branch's pyramid: the teacher's, or those of all modalities' teachers side by side."""
        teachers = len(self.modalities) // len(self.branches)
        return tuple(teachers * width for width in teacher_channels)

    def identity(self) -> dict[str, Any]:
        """What makes it the same experiment: all values but defaults and those that change no weight. Keys that later
        versions add therefore leave what was recorded before them valid."""
        tree = self.model_dump(mode="json", exclude_defaults=True)
        kept = {k: v for k, v in tree.get("training", {}).items() if k not in WITHOUT_EFFECT}
        return {**tree, "training": kept}

    def for_class(self, name: str) -> Recipe:
        """This recipe with the overrides of one class applied and the table of overrides emptied."""
        tree = self.model_dump(mode="json")
        overrides = tree.pop("classes").get(name, {})
        return _validated(_merge(tree, overrides), f"recipe '{self.name}', class '{name}'")

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json"))


def recipe_names() -> tuple[str, ...]:
    """Names of the shipped recipes, sorted."""
    folder = resources.files("trd.recipes")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_recipe(name_or_file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name or a TOML file, with `section.key=value` overrides (values in TOML syntax or plain).

    Raises RecipeError for an unknown name, unreadable file, unknown key or contradicting values.
    """
    text, origin = _recipe_text(name_or_file)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{origin} is not valid TOML: {error}") from error
    for override in overrides:
        tree = _merge(tree, parse_override(override))
    return _validated(tree, origin)


def recipe_from_toml(text: str, origin: str) -> Recipe:
    """Read back what `Recipe.to_toml` wrote; `origin` names the file in errors."""
    try:
        return _validated(tomllib.loads(text), origin)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{origin} is not valid TOML: {error}") from error


def parse_override(override: str) -> dict[str, Any]:
    """`training.epochs=20` -> {"training": {"epochs": 20}}; a value that is not TOML is taken as a string."""
    path, equals, value = override.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise RecipeError(f"override '{override}': expected section.key=value, for example training.epochs=20")
    try:
        parsed: Any = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for key in reversed(keys):
        parsed = {key: parsed}
    assert isinstance(parsed, dict)
    return parsed


def _recipe_text(name_or_file: str | Path) -> tuple[str, str]:
    name = str(name_or_file)
    if name in recipe_names():
        return resources.files("trd.recipes").joinpath(f"{name}.toml").read_text("utf-8"), f"recipe '{name}'"
    path = Path(name)
    if path.suffix != ".toml":
        raise RecipeError(
            f"no recipe is called '{name}'; shipped ones: {', '.join(recipe_names())}, or give a .toml file"
        )
    try:
        return path.read_text("utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error


def _validated(tree: Mapping[str, Any], origin: str) -> Recipe:
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'recipe'}: {_plain(e)}" for e in error.errors()]
        raise RecipeError(f"{origin} is not a valid recipe:\n" + "\n".join(lines)) from error


def _plain(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    return str(error["msg"]).removeprefix("Value error, ")


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
