"""Writes recipe.md beside this file, a table per section of a recipe, from the schema that recipes are checked with.

python docs/recipe_reference.py           writes it; a test compares it with what is committed
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from trd.config import EVIDENCE, ModalityInput, Recipe, evidence_section

PAGE = Path(__file__).with_name("recipe.md")
COLUMNS = ("key", "meaning", "unit", "range", "default")

HEAD = """# Every key of a recipe

Made by `python docs/recipe_reference.py` from the schema: do not edit. A recipe is a TOML file with these sections.
Where the paper has a number, it is the default (but for the teacher, which is the small one); the shipped recipes
(`trd recipes`) set what they need otherwise, and `trd recipes NAME` prints all values of one. Unknown keys and values
out of range are refused by name.

- On the command line: `--set frame.size=320`, repeatable; the value in TOML syntax, or as plain text.
- What is learned is listed: `[evidence.reverse_distillation]`, `[evidence.memory_bank]`, ... `true` lists one with its
  defaults, `false` takes one away: `--set evidence.memory_bank=true`.
- A key of one evidence may stand without `evidence.KIND.` where no other that the recipe lists has it:
  `--set training.epochs=20`, `[training]`.
- `classes` overrides any key for single classes, in the same way: `[classes.cookie.modalities.normals]`,
  `[classes.cookie.training]`.
"""


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """(title, model) of every section, in the order of the page."""
    yield "Top level", Recipe
    for model in get_args(get_args(ModalityInput)[0]):
        kind = model.model_json_schema()["properties"]["representation"]["const"]
        yield f'[modalities.NAME], representation = "{kind}"', model
    for name, field in Recipe.model_fields.items():
        if name == "evidence":
            for kind in sorted(EVIDENCE):
                yield from _below(f"evidence.{kind}", evidence_section(kind))
        elif _is_section(field.annotation):
            yield from _below(name, field.annotation)


def rows(model: type[BaseModel]) -> Iterator[dict[str, str]]:
    """One per key, column -> text."""
    schema = model.model_json_schema()
    for key, field in model.model_fields.items():
        values = schema["properties"][key]
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        is_table = _is_section(field.annotation)
        default = "" if is_table else f"`{_toml(values.get('default'))}`"
        yield {
            "key": f"`{key}`",
            "meaning": field.description or "",
            "unit": str(extra.get("unit", "")),
            "range": "a section, below" if is_table else _range(values),
            "default": "required" if field.is_required() else default,
        }


def page() -> str:
    parts = [HEAD]
    for title, model in sections():
        lines = [COLUMNS, ("---",) * len(COLUMNS), *(tuple(row.values()) for row in rows(model))]
        table = "".join("| " + " | ".join(cells) + " |\n" for cells in lines)
        parts.append(f"## {title}\n\n{' '.join((model.__doc__ or '').split())}\n\n{table}")
    return "\n".join(parts)


def _below(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield f"[{name}]", model
    for key, field in model.model_fields.items():
        if _is_section(field.annotation):
            yield from _below(f"{name}.{key}", field.annotation)
        for item in get_args(field.annotation):
            if _is_section(item):
                yield f"[[{name}.{key}]]", item


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _range(values: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in values:
        return " or ".join(_range(one) for one in values["anyOf"])
    if "const" in values or "enum" in values:
        return ", ".join(f"`{_toml(one)}`" for one in values.get("enum", [values.get("const")]))
    kind = values.get("type")
    if kind == "array":
        return _list_range(values)
    if kind in ("integer", "number"):
        return _bounds(values)
    return {"boolean": "`true`, `false`", "string": "text"}.get(str(kind), "tables")


def _list_range(values: Mapping[str, Any]) -> str:
    several, items = values.get("prefixItems"), values.get("items", {})
    if "$ref" in items:
        return "tables, below"
    if items.get("type") == "array":
        return "polygons"
    return f"{len(several)} numbers, each {_range(several[0])}" if several else f"any of {_range(items)}"


def _bounds(values: Mapping[str, Any]) -> str:
    low, high = values.get("minimum"), values.get("maximum")
    above, below = values.get("exclusiveMinimum"), values.get("exclusiveMaximum")
    words = []
    if low is not None and high is not None:
        words.append(f"{low:g} to {high:g}")
    else:
        words += [f"{low:g} or more"] if low is not None else []
        words += [f"above {above:g}"] if above is not None else []
        words += [f"up to {high:g}"] if high is not None else []
        words += [f"below {below:g}"] if below is not None else []
    if "multipleOf" in values:
        words.append(f"a multiple of {values['multipleOf']}")
    elif values["type"] == "integer":
        words.append("whole")
    return ", ".join(words)


def _toml(value: Any) -> str:
    return json.dumps(value)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
