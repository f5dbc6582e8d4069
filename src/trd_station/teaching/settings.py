"""What a class is taught with, in its class.json; and the recipes that fit its sources."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trd.config import DEFAULT_RECIPE, Recipe, load_recipe, recipe_names
from trd.data.cameras import read_camera
from trd.errors import DataError, RecipeError
from trd.files import write_bytes, write_json
from trd_station.reading import suffixes

FILE = "class.json"
PARTS = "parts"
CAMERA = "camera.json"
LONGEST_NAME = 100  # characters
LONGEST_FILE = 200  # bytes of a folder's name that every file system takes

Layout = Literal["colour", "colour and 3D", "3D"]
LAYOUTS: dict[str, tuple[str, ...]] = {"colour": ("rgb",), "colour and 3D": ("rgb", "xyz"), "3D": ("xyz",)}
CLOUDS = ("xyz",)
FIRST = {"colour": "lite-rgb-memory-bank", "colour and 3D": "lite-fast", "3D": "lite-normals"}
"""Layout -> the recipe of a first detector, which is fitted without training a network."""
NETWORK = {"colour": "lite-rgb", "colour and 3D": DEFAULT_RECIPE, "3D": None}
"""Layout -> the recipe of a network; none is shipped for 3D alone."""
OPEN_SECTIONS = ("frame", "scoring", "evidence", "modalities", "student", "training", "seed", "precision")
"""Of a recipe, what a request may set: `teacher.weights` names a file on this machine."""

Polygons = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class ClassSettings:
    """inspect, ignore: polygons in pixels of the training frames, as `[frame]` of a recipe has them. at: milliseconds
    since 1970."""

    name: str
    layout: Layout
    who: str
    at: int
    inspect: Polygons = ()
    ignore: Polygons = ()

    @property
    def sources(self) -> tuple[str, ...]:
        return LAYOUTS[self.layout]

    @property
    def clouds(self) -> tuple[str, ...]:
        return tuple(source for source in self.sources if source in CLOUDS)

    def with_region(self, inspect: Polygons, ignore: Polygons) -> ClassSettings:
        """Raises RecipeError for polygons that no recipe takes."""
        changed = replace(self, inspect=inspect, ignore=ignore)
        changed.recipe(FIRST[self.layout], ())
        return changed

    def recipe(self, name: str, overrides: tuple[str, ...]) -> Recipe:
        """A shipped recipe for these sources, with the region of interest. Raises RecipeError."""
        if name not in recipe_names():  # a file's name would be opened
            raise RecipeError(f"no recipe is called '{name[:60]}'; there are: {', '.join(self.recipes())}")
        for override in overrides:
            section = override.partition("=")[0].partition(".")[0].strip()
            if section not in OPEN_SECTIONS:
                raise RecipeError(f"'{override[:60]}': only {', '.join(OPEN_SECTIONS)} can be set here")
        region = [
            f"frame.{key}={json.dumps(polygons)}"
            for key, polygons in (("inspect", self.inspect), ("ignore", self.ignore))
            if polygons
        ]
        recipe = load_recipe(name, [*region, *overrides])
        if set(recipe.sources) != set(self.sources):
            raise RecipeError(
                f"the recipe '{name}' needs {', '.join(recipe.sources)}; '{self.name}' has {', '.join(self.sources)}. "
                f"There are: {', '.join(self.recipes())}"
            )
        return recipe

    def recipes(self) -> tuple[str, ...]:
        """Names of the shipped recipes for these sources."""
        return tuple(name for name in recipe_names() if set(shipped(name).sources) == set(self.sources))

    def suffixes(self, source: str) -> tuple[str, ...]:
        return suffixes(source in self.clouds)

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> ClassSettings:
        """Raises DataError for a file that is not ours."""
        path = folder / FILE
        try:
            values: dict[str, Any] = json.loads(path.read_text("utf-8"))
            values |= {key: _polygons(values[key]) for key in ("inspect", "ignore")}
            settings = cls(**values)
            if settings.layout not in LAYOUTS:
                raise ValueError(f"no layout is called {settings.layout}")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{path} cannot be read: {error}; put it back from a backup, or delete its folder"
            ) from error
        return settings


shipped = functools.cache(load_recipe)
"""A shipped recipe by its name, read once."""


def _polygons(value: Any) -> Polygons:
    return tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in value)


def checked_name(name: str) -> str:
    """A name that can be a part of an address and a folder. Raises DataError for another."""
    name = name.strip()
    odd = not name or name.startswith(".") or not name.isprintable() or set(name) & set('/\\:*?"<>|')
    if odd or len(name) > LONGEST_NAME or len(os.fsencode(name)) > LONGEST_FILE:
        raise DataError(
            f"'{name[:60]}' cannot be the name of a class: up to {LONGEST_NAME} printable characters, no dot in front, "
            'none of / \\ : * ? " < > |'
        )
    return name


def write_camera(folder: Path, content: bytes) -> None:
    """Keep a camera.json for the class's parts, once it was read. Raises DataError."""
    path = folder / PARTS / CAMERA
    trial = folder / f"new-{CAMERA}"
    write_bytes(trial, content, durable=False)
    try:
        read_camera(trial)
    except DataError as error:
        raise DataError(str(error).replace(str(trial), CAMERA)) from error
    finally:
        trial.unlink(missing_ok=True)
    write_bytes(path, content)
