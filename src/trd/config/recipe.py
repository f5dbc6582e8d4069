"""The Recipe: every number of an experiment in one frozen, validated record; TOML in and out, unknown keys refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomli_w
from pydantic import BaseModel, Field, SerializeAsAny, ValidationError, field_validator, model_validator

from trd.config.sections import (
    FrameConfig,
    Frozen,
    ImageInput,
    MethodConfig,
    ModalityInput,
    ModalityName,
    ScoringConfig,
    Seed,
    SobelNormalsInput,
    SurfaceNormalsInput,
    VectorAxes,
)
from trd.errors import RecipeError
from trd.registry import find_method

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Model = TypeVar("Model", bound=BaseModel)

DEFAULT_RECIPE = "lite-rgb-normals"

STAND_IN = "patch_statistics"  # the method that needs nothing but seconds, and no sensor beside another
RESERVED = ("fused",)  # what results call the map over all modalities
METHOD_SECTIONS = ("teacher", "student", "training")  # may be named without `method.` before them
MOVED = {  # where keys of recipes written before are now
    ("training", "seed"): ("seed",),
    ("training", "holdout"): ("scoring", "holdout"),
    ("scoring", "distance"): ("method", "distance"),
    ("scoring", "pool"): ("method", "pool"),
    ("scoring", "context_floor"): ("method", "context_floor"),
}

TEXT_BYTES = 1 << 20  # of a recipe file
KEY_PARTS = 500  # in a line; the parser's time and memory grow with the square of a dotted key's parts
MOST_KEYS = 20  # in an override; a recipe is five deep
SHOWN = 300  # characters of what pydantic says about a value, which it may quote whole


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
    method: Annotated[SerializeAsAny[MethodConfig], Field(description="What learns; its name and its own settings.")]
    scoring: Annotated[ScoringConfig, Field(description="How maps become scores and decisions.")] = ScoringConfig()
    classes: Annotated[
        dict[str, dict[str, Any]],
        Field(description="Overrides of any key for single classes: `[classes.cookie.modalities.normals]`."),
    ] = {}  # noqa: RUF012 - pydantic gives each its own

    @model_validator(mode="before")
    @classmethod
    def _arranged(cls, tree: Any) -> Any:
        return _with_method(tree) if isinstance(tree, Mapping) else tree

    @field_validator("method", mode="before")
    @classmethod
    def _of_its_method(cls, section: Any) -> Any:
        """The section as the method's own type, which the registry knows."""
        if not isinstance(section, Mapping):
            return section
        try:
            return find_method(str(section.get("name"))).config.model_validate(section)
        except RecipeError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        reserved = set(RESERVED) & set(self.modalities)
        if reserved:
            raise ValueError(f"a modality cannot be called {sorted(reserved)}: results use that name")
        if self._needs_part and not self.point_cloud_sources:
            raise ValueError(
                "frame.crop or scoring.region is 'part', but no modality is made from a point cloud: the part is found "
                "in 3D; name the cloud in frame.part.source, or use crop = 'none' and region = 'frame'"
            )
        find_method(self.method.name).check(self)
        for name in self.classes:
            self.for_class(name)  # a misspelt key shows now, not when that class has its turn
        return self

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
        """Whether cropping or scoring may depend on where the part is."""
        return self._needs_part or "auto" in (self.frame.crop, self.scoring.region)

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
    def branches(self) -> tuple[str, ...]:
        """Names of the maps that the method gives, one each; mostly the modalities."""
        return find_method(self.method.name).branches(self)

    def identity(self) -> dict[str, Any]:
        """What makes it the same experiment: all values but defaults and those that change no weight. Keys that later
        versions add therefore leave what was recorded before them valid."""
        tree = self.model_dump(mode="json", exclude_defaults=True)
        for *sections, key in find_method(self.method.name).without_effect(self):
            place: Any = tree
            for name in sections:
                place = place.get(name, {})
            place.pop(key, None)
        method = {key: value for key, value in tree["method"].items() if value != {}}
        return {**tree, "method": {"name": self.method.name, **method}}

    def for_class(self, name: str) -> Recipe:
        """This recipe with the overrides of one class applied and the table of overrides emptied."""
        tree = self.model_dump(mode="json")
        overrides = arranged(tree.pop("classes").get(name, {}))
        return _validated(_merge(tree, overrides), f"recipe '{self.name}', class '{name}'")

    def changed(self, *overrides: str) -> Recipe:
        """With `section.key=value` overrides, as on the command line. Raises RecipeError."""
        tree: dict[str, Any] = self.model_dump(mode="json")
        for override in overrides:
            tree = _merge(tree, arranged(parse_override(override)))
        return _validated(tree, f"recipe '{self.name}'")

    def without(self, source: str) -> Recipe | None:
        """Of the stand-in for when `source` is missing: patch statistics of the modalities that are left; None where
        none is, or where nothing is missing."""
        left = {name: modality for name, modality in self.modalities.items() if modality.source != source}
        if not left or source not in self.sources:
            return None
        tree = self.model_dump(mode="json")
        tree["modalities"] = {name: tree["modalities"][name] for name in left}
        tree["method"] = {"name": STAND_IN}
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

    Raises RecipeError for an unknown name, unreadable file, unknown key or contradicting values.
    """
    text, origin = _recipe_text(name_or_file)
    tree = arranged(_parsed(text, origin))
    for override in overrides:
        tree = _merge(tree, arranged(parse_override(override)))
    return _validated(tree, origin)


def arranged(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's tree (or overrides of it) with every key where it belongs.

    Sections of the method may stand without `method.` (`[training]`, `--set training.epochs=20`), and recipes
    written before have some keys elsewhere.
    """
    result: dict[str, Any] = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
    if isinstance(result.get("method"), str):
        result["method"] = {"name": result["method"]}
    moves: list[tuple[tuple[str, ...], tuple[str, ...]]] = list(MOVED.items())
    moves += [((section,), ("method", section)) for section in METHOD_SECTIONS]
    for old, new in moves:
        value = _taken(result, old)
        if value is None:
            continue
        moved: Any = value
        for key in reversed(new):
            moved = {key: moved}
        result = _merge(moved, result) if len(old) == 2 else _merge(result, moved)
    return result


def _with_method(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A whole recipe's tree, arranged: one that names no method is one of `trd`, which overrides must not say."""
    result = arranged(tree)
    method = result.get("method", {})
    if isinstance(method, dict):
        result["method"] = {"name": "trd", **method}
    return result


def _taken(tree: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The value at `path`, removed from the tree; None where there is none."""
    if len(path) == 1:
        return tree.pop(path[0], None)
    section = tree.get(path[0])
    return section.pop(path[1], None) if isinstance(section, dict) else None


def recipe_from_toml(text: str, origin: str) -> Recipe:
    """Read back what `Recipe.to_toml` wrote; `origin` names the file in errors."""
    return _validated(_parsed(text, origin), origin)


def _parsed(text: str, origin: str) -> dict[str, Any]:
    if len(text) > TEXT_BYTES:
        raise RecipeError(f"{origin} has more than {TEXT_BYTES} characters: it is no recipe")
    if any(line.count(".") > KEY_PARTS for line in text.splitlines()):
        raise RecipeError(f"{origin} is no recipe: a line of it has more than {KEY_PARTS} dots")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, brackets in brackets
        raise RecipeError(f"{origin} is not valid TOML: {str(error)[:SHOWN]}") from error


def parse_override(override: str) -> dict[str, Any]:
    """`training.epochs=20` -> {"training": {"epochs": 20}}; a value that is not TOML is taken as a string."""
    path, equals, value = override.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys) or len(keys) > MOST_KEYS:
        raise RecipeError(f"override '{override[:SHOWN]}': expected section.key=value, for example training.epochs=20")
    try:
        tree = tomllib.loads(f"value = {value.strip()}")
    except tomllib.TOMLDecodeError:
        tree = {}
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"override '{override[:SHOWN]}': the value cannot be read: {error}") from error
    parsed: Any = tree["value"] if set(tree) == {"value"} else value.strip()
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
        with path.open(encoding="utf-8") as file:
            return file.read(TEXT_BYTES + 1), str(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error


def _validated(tree: Mapping[str, Any], origin: str) -> Recipe:
    tree = _with_method(tree)
    method = tree.get("method")
    try:
        if isinstance(method, Mapping):  # by itself first: its own type is known only to the registry
            _refused(lambda: _section_type(method).model_validate(method), "method.")
        return _refused(lambda: Recipe.model_validate(tree), "")
    except ValueError as error:
        raise RecipeError(f"{origin} is not a valid recipe:\n{error}") from error
    except RecursionError as error:
        raise RecipeError(f"{origin} is not a valid recipe: it is nested too deeply") from error


def _section_type(section: Mapping[str, Any]) -> type[MethodConfig]:
    try:
        return find_method(str(section.get("name"))).config
    except RecipeError as error:
        raise ValueError(f"  method.name: {error}") from error


def _place(keys: tuple[int | str, ...]) -> str:
    """The path of a key, without the types that pydantic names where a value may be of several."""
    return ".".join(str(key) for key in keys if "[" not in str(key))


def _refused(validate: Callable[[], Model], prefix: str) -> Model:
    """What `validate` returns. Raises ValueError with a line for each value that it refuses."""
    try:
        return validate()
    except ValidationError as error:
        lines = [f"  {prefix}{_place(e['loc']) or 'recipe'}: {_plain(e)}" for e in error.errors()]
        raise ValueError("\n".join(lines)) from error


def _plain(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "union_tag_invalid":
        facts = error["ctx"]
        return f"{facts['discriminator']} is '{facts['tag'][:60]}', expected one of {facts['expected_tags']}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message if len(message) <= SHOWN else f"{message[:SHOWN]} ..."


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
