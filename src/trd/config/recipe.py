"""The Recipe: every number of an experiment in one frozen, validated record; TOML in and out, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

import trd.config.crossmodal_mapping
import trd.config.memory_bank
import trd.config.reverse_distillation  # noqa: F401 - like the two above it enters EVIDENCE
from trd.config.evidence import EvidenceConfig
from trd.config.frame import FrameConfig
from trd.config.patch_statistics import PATCH_STATISTICS
from trd.config.pictures import with_pictures
from trd.config.sections import (
    BackboneConfig,
    Frozen,
    ImageInput,
    ModalityInput,
    ModalityName,
    ScoringConfig,
    Seed,
    SobelNormalsInput,
    SurfaceNormalsInput,
    VectorAxes,
)
from trd.config.trees import (
    TEXT_BYTES,
    arranged,
    evidence_sections,
    listed_kinds,
    merged_trees,
    overridden,
    parsed,
    refusals,
)
from trd.config.views import ViewsConfig
from trd.errors import RecipeError
from trd.types import VIEW_SEPARATOR

DEFAULT_RECIPE = "lite-rgb-normals"

RESERVED = ("fused",)  # what results call the map over all branches


class Recipe(Frozen):
    """A whole experiment."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="Of the recipe, for records and reports.")]
    description: Annotated[str, Field(description="One sentence for `trd recipes`.")] = ""
    seed: Annotated[
        Seed, Field(description="Of training: weights, order of samples, augmentation, held-out parts, folds.")
    ] = 42
    modalities: Annotated[
        dict[ModalityName, ModalityInput],
        Field(min_length=1, description="What the network sees, a table each: `[modalities.rgb]`. Names are yours."),
    ]
    frame: Annotated[FrameConfig, Field(description="From a sensor's frame to the network's input.")] = FrameConfig()
    views: Annotated[ViewsConfig, Field(description="Several pictures or clouds of one part.")] = ViewsConfig()
    teacher: Annotated[
        BackboneConfig, Field(description="The frozen network, the same for all evidence that reads one.")
    ] = BackboneConfig()
    evidence: Annotated[
        dict[str, SerializeAsAny[EvidenceConfig]],
        Field(
            min_length=1,
            description="What is learned from good parts, a table each: `[evidence.memory_bank]`. `true` is one with "
            "its defaults, `false` takes one away: `--set evidence.memory_bank=false`.",
        ),
    ]
    precision: Annotated[
        Literal["fp32", "bf16", "auto"],
        Field(
            description="Of students, mappings and searches in banks; teacher and distances are in float32. `auto`: "
            "bf16 where the hardware multiplies it (processors with AMX or AVX512-BF16, GPUs from Ampere on), else "
            "fp32."
        ),
    ] = "fp32"
    scoring: Annotated[ScoringConfig, Field(description="How maps become scores and decisions.")] = ScoringConfig()
    classes: Annotated[
        dict[str, dict[str, Any]],
        Field(description="Overrides of any key for single classes: `[classes.cookie.modalities.normals]`."),
    ] = {}  # noqa: RUF012 - pydantic gives each its own

    @field_validator("evidence", mode="before")
    @classmethod
    def _typed_evidence_sections(cls, table: Any) -> Any:
        """Every section as its kind's own type."""
        return evidence_sections(table) if isinstance(table, Mapping) else table

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        reserved = sorted(set(RESERVED) & {*self.modalities, *self.branches})
        if reserved:
            raise ValueError(f"a modality cannot be called {reserved}: results use that name")
        if self._needs_part and not self.point_cloud_sources:
            raise ValueError(
                "frame.crop or scoring.region is 'part', but no modality is made from a point cloud: the part is found "
                "in 3D; name the cloud in frame.part.source, or use crop = 'none' and region = 'frame'"
            )
        if self.frame.follows_part and not self.point_cloud_sources:
            raise ValueError(
                "a region of frame.regions follows the part, whose pose is found in 3D, but no modality is made from a "
                "point cloud: name the cloud in frame.part.source, or use follows = 'frame'"
            )
        nested = [source for source in self.sources if VIEW_SEPARATOR in source]
        if nested:
            raise ValueError(
                f"the source '{nested[0]}' has a '{VIEW_SEPARATOR}' in its name, which stands between a view and its "
                "source: call it otherwise, and several views of a part in views.names"
            )
        if self.views.names:
            self._check_views()
        for kind, section in self.evidence.items():
            try:
                section.check(tuple(self.modalities))
            except ValueError as error:
                raise ValueError(f"evidence.{kind}: {error}") from error
        names = self.branches
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two maps are called '{twice[0]}': give a modality another name")
        for name in self.classes:
            self.for_class(name)  # a misspelt key shows now, not when that class has its turn
        return self

    def _check_views(self) -> None:
        for key in ("inspect", "ignore", "inspect_picture", "ignore_picture", "regions"):
            if getattr(self.frame, key):
                raise ValueError(f"frame.{key} is of one picture, and views.names names several: leave one of them out")
        if isinstance(self.frame.crop, tuple):
            raise ValueError("frame.crop as a window is of one picture: with views.names it is part, none or auto")
        if self.scoring.stand_ins:
            raise ValueError("scoring.stand_ins and views.names do not go together: set scoring.stand_ins=false")

    @property
    def point_cloud_sources(self) -> tuple[str, ...]:
        """Sources that are organised clouds, in order, each once; the one in which the part is found comes first."""
        clouds = [m.source for m in self.modalities.values() if m.representation != "image"]
        if self.looks_for_part and self.frame.part.source:
            clouds.insert(0, self.frame.part.source)
        return tuple(dict.fromkeys(clouds))

    @property
    def vector_maps(self) -> dict[str, VectorAxes]:
        """Modalities whose images hold vector components in image axes, which turn with the picture."""
        maps: dict[str, VectorAxes] = {}
        for name, modality in self.modalities.items():
            if isinstance(modality, SobelNormalsInput | SurfaceNormalsInput):
                maps[name] = "y_down"
            elif isinstance(modality, ImageInput) and modality.vectors != "none":
                maps[name] = modality.vectors
        return maps

    @property
    def looks_for_part(self) -> bool:
        """Whether cropping, scoring or regions may depend on where the part is."""
        return self._needs_part or self.frame.follows_part or "auto" in (self.frame.crop, self.scoring.region)

    @property
    def plane_sources(self) -> tuple[str, ...]:
        """Clouds of which preparation needs the support plane; the one in which the part is found comes first."""
        part = self.point_cloud_sources[:1] if self.looks_for_part else ()
        normals = [m.source for m in self.modalities.values() if isinstance(m, SurfaceNormalsInput)]
        return tuple(dict.fromkeys([*part, *normals]))

    @property
    def _needs_part(self) -> bool:
        return self.frame.crop == "part" or self.scoring.region == "part"

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that a sample must have, in order, each once."""
        return tuple(dict.fromkeys([*(m.source for m in self.modalities.values()), *self.point_cloud_sources]))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of a part's files: its sources, or each view's, as "front/rgb"."""
        return self._of_views(self.sources)

    @property
    def cloud_inputs(self) -> tuple[str, ...]:
        """Those of `inputs` that are clouds."""
        return self._of_views(self.point_cloud_sources)

    def _of_views(self, sources: Sequence[str]) -> tuple[str, ...]:
        names = self.views.names
        return tuple(f"{view}{VIEW_SEPARATOR}{s}" for view in names for s in sources) if names else tuple(sources)

    @property
    def branches(self) -> tuple[str, ...]:
        """Names of the maps, evidence by evidence."""
        names = tuple(self.modalities)
        return tuple(branch for section in self.evidence.values() for branch in section.branches(names))

    def identity(self) -> dict[str, Any]:
        """What makes it the same experiment: all values but defaults and those that change no weight. Keys that later
        versions add therefore leave what was recorded before them valid."""
        tree = self.model_dump(mode="json", exclude_defaults=True)
        paths = [
            ("evidence", kind, *path) for kind, config in self.evidence.items() for path in config.without_effect()
        ]
        if not any(config.reads_vectors for config in self.evidence.values()):
            paths += [("modalities", name, "vectors") for name in self.modalities]
        for *sections, key in paths:
            place: Any = tree
            for name in sections:
                place = place.get(name, {})
            place.pop(key, None)
        for kind, section in tree["evidence"].items():
            tree["evidence"][kind] = {key: value for key, value in section.items() if value != {}}
        return tree

    def for_class(self, name: str) -> Recipe:
        """This recipe with the overrides of one class applied and the table of overrides emptied."""
        tree = self.model_dump(mode="json")
        overrides = arranged(tree.pop("classes").get(name, {}), self.evidence, Recipe.model_fields)
        return _validated(merged_trees(tree, overrides), f"recipe '{self.name}', class '{name}'")

    @property
    def growing(self) -> tuple[str, ...]:
        """Kinds of evidence that take in further good parts without a training."""
        return tuple(kind for kind, section in self.evidence.items() if section.grows)

    def changed(self, *overrides: str) -> Recipe:
        """With `section.key=value` overrides, as on the command line. Raises RecipeError."""
        tree: dict[str, Any] = self.model_dump(mode="json")
        for override in overrides:
            tree = overridden(tree, override, Recipe.model_fields)
        origin = f"recipe '{self.name}'"
        return _validated(with_pictures(tree, Path(), origin), origin)

    def without(self, source: str) -> Recipe | None:
        """Of the fallback for when `source` is missing: the evidence that fits in seconds, on the modalities that are
        left; patch statistics where the recipe has no such evidence. None where no modality is left, where nothing is
        missing, and where regions follow the part, whose pose is told by `source`."""
        left = {name: modality for name, modality in self.modalities.items() if modality.source != source}
        tells_pose = self.frame.follows_part and self.point_cloud_sources[:1] == (source,)
        if not left or source not in self.sources or tells_pose:
            return None
        tree = self.model_dump(mode="json")
        tree["modalities"] = {name: tree["modalities"][name] for name in left}
        quick = {kind: values for kind, values in tree["evidence"].items() if self.evidence[kind].falls_back}
        tree["evidence"] = quick or {PATCH_STATISTICS: {}}
        tree["scoring"]["stand_ins"] = False
        if self.point_cloud_sources[:1] == (source,):  # which told where the part is
            tree["frame"]["part"]["source"] = ""
            tree["scoring"]["region"] = "auto"
            if not isinstance(self.frame.crop, tuple):
                tree["frame"]["crop"] = "auto"
        return _validated({**tree, "name": f"{self.name}, without {source}"}, f"recipe '{self.name}' without {source}")

    def with_seed(self, seed: int) -> Recipe:
        """With another seed of training (weights, order of samples, augmentation, held-out parts)."""
        return self.model_copy(update={"seed": seed})

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json"))


def recipe_names() -> tuple[str, ...]:
    """Names of the shipped recipes, sorted."""
    folder = resources.files("trd.recipes")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_recipe(name_or_file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name or a TOML file, with `section.key=value` overrides (values in TOML syntax or plain).

    Pictures of regions are read and become part of the recipe (`config.pictures`). Raises RecipeError for an unknown
    name, unreadable file, unknown key or contradicting values.
    """
    text, origin = _recipe_text(name_or_file)
    tree = with_pictures(parsed(text, origin), Path(name_or_file).parent, origin)
    for override in overrides:
        tree = overridden(tree, override, Recipe.model_fields)
    return _validated(with_pictures(tree, Path(), origin), origin)


def recipe_from_toml(text: str, origin: str) -> Recipe:
    """Read back what `Recipe.to_toml` wrote; `origin` names the file in errors."""
    return _validated(parsed(text, origin), origin)


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
        with path.open(encoding="utf-8") as file:
            return file.read(TEXT_BYTES + 1), str(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error


def _validated(tree: Mapping[str, Any], origin: str) -> Recipe:
    try:
        tree = arranged(tree, listed_kinds(tree), Recipe.model_fields)
        if isinstance(tree.get("evidence"), Mapping):  # by themselves first: pydantic would wrap their messages
            tree = {**tree, "evidence": evidence_sections(tree["evidence"])}
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError("\n".join([f"{origin} is not a valid recipe:", *refusals(error, "")])) from error
    except ValueError as error:
        raise RecipeError(f"{origin} is not a valid recipe:\n{error}") from error
    except RecipeError as error:
        raise RecipeError(f"{origin} is not a valid recipe: {error}") from error
    except RecursionError as error:
        raise RecipeError(f"{origin} is not a valid recipe: it is nested too deeply") from error
