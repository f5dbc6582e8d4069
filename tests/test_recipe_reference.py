"""docs/recipe.md is what the schema says, and the schema says what every key means."""

import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from trd.config import load_recipe, recipe_names

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = runpy.run_path(str(DOCS / "recipe_reference.py"))


def test_the_committed_page_is_up_to_date() -> None:
    """If not: python docs/recipe_reference.py"""
    assert (DOCS / "recipe.md").read_text("utf-8") == REFERENCE["page"]()


@pytest.mark.parametrize(("title", "model"), list(REFERENCE["sections"]()))
def test_every_key_has_a_meaning(title: str, model: Any) -> None:
    assert model.__doc__
    for row in REFERENCE["rows"](model):
        assert row["meaning"].endswith("."), f"{title}: {row['key']}"
        assert "|" not in "".join(row.values()), f"{title}: {row['key']} would break the table"


def leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


@pytest.mark.parametrize("name", recipe_names())
def test_every_key_of_a_shipped_recipe_has_a_row(name: str) -> None:
    known = set()
    for title, model in REFERENCE["sections"]():
        section = "" if title == "Top level" else title[1:].partition("]")[0] + "."
        known |= {section + row["key"].strip("`") for row in REFERENCE["rows"](model)}
    tree = load_recipe(name).model_dump(mode="json", exclude={"classes"})
    tree["modalities"] = {"NAME": {k: v for modality in tree["modalities"].values() for k, v in modality.items()}}
    assert set(leaves(tree)) <= known
