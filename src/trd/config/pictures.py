"""Painted regions: a picture's content stands in the recipe itself, so that it goes where the recipe goes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trd.errors import RecipeError

PREFIX = "data:image/png;base64,"  # as RFC 2397 has it
PNG_START = b"\x89PNG\r\n\x1a\n"
MOST = 200_000  # bytes of one picture; a plain area of 20 megapixels takes a tenth
MOST_OF_ALL = 600_000  # characters: a recipe's file may have a million
KEYS = ("inspect_picture", "ignore_picture")
SMALLER = "save it with two colours alone, without the photograph, as PNG"


def embedded_png(text: str) -> str:
    """A picture's content as recipes hold it, or nothing. Raises ValueError for anything else."""
    if text:
        png_of(text)
    return text


def png_of(text: str) -> bytes:
    """The PNG file that a recipe holds. Raises ValueError for what `with_pictures` does not write."""
    try:
        if not text.startswith(PREFIX):
            raise ValueError("expected the name of a PNG file, in a recipe's file or after --set")
        data = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the picture is damaged: {error}") from error
    if not data.startswith(PNG_START):
        raise ValueError("the picture is no PNG")
    return data


def with_pictures(tree: Mapping[str, Any], folder: Path, origin: str) -> dict[str, Any]:
    """A recipe's tree with the content of PNG files in place of their names, which are relative to `folder`.

    Also in the overrides of single classes. Raises RecipeError for a file that is missing, too large or no PNG.
    """
    result, size = dict(tree), 0

    def content(key: str, value: Any) -> Any:
        nonlocal size
        if isinstance(value, str) and value:
            if not value.startswith(PREFIX):
                value = _content(folder / Path(value).expanduser(), f"{origin}: {key}")
            size += len(value)
        return value

    for frame in _frames(result):
        for key in KEYS:
            if key in frame:
                frame[key] = content(f"frame.{key}", frame[key])
        if isinstance(regions := frame.get("regions"), list | tuple):
            frame["regions"] = [
                {**region, "picture": content("frame.regions.picture", region["picture"])}
                if isinstance(region, Mapping) and "picture" in region
                else region
                for region in regions
            ]
    if size > MOST_OF_ALL:
        raise RecipeError(f"{origin}: its pictures have {size} characters, at most {MOST_OF_ALL} are taken: {SMALLER}")
    return result


def _frames(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tables `frame` of the recipe and of its classes, as copies that are in their place in the tree."""
    if isinstance(tree.get("frame"), Mapping):
        tree["frame"] = dict(tree["frame"])
        yield tree["frame"]
    if isinstance(tree.get("classes"), Mapping):
        tree["classes"] = dict(tree["classes"])
        for name, overrides in tree["classes"].items():
            if isinstance(overrides, Mapping):
                tree["classes"][name] = dict(overrides)
                yield from _frames(tree["classes"][name])


def _content(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{where}: cannot read the picture {path}: {error}") from error
    if not data.startswith(PNG_START):
        raise RecipeError(f"{where}: {path} is no PNG: {SMALLER}")
    if len(data) > MOST:
        raise RecipeError(f"{where}: {path} has more than {MOST} bytes: {SMALLER}")
    return PREFIX + base64.b64encode(data).decode()
