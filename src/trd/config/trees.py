"""Recipes as trees of plain values: from TOML and overrides, every key where it belongs; what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from trd.config.evidence import EVIDENCE, EvidenceConfig, evidence_section
from trd.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EARLIER = (  # a recipe, or a detector's, of before recipes listed their evidence
    "it names a method: recipes list their evidence now. Write [evidence.reverse_distillation], "
    "[evidence.memory_bank], [evidence.patch_statistics] or [evidence.crossmodal_mapping] in place of [method] and "
    "[teacher] beside it (docs/recipe.md), and train again"
)
TEXT_BYTES = 1 << 20  # of a recipe file
KEY_PARTS = 500  # in a line; the parser's time and memory grow with the square of a dotted key's parts
MOST_KEYS = 20  # in an override; a recipe is five deep
SHOWN = 300  # characters of what pydantic says about a value, which it may quote whole


def parsed(text: str, origin: str) -> dict[str, Any]:
    """origin: names the file in errors. Raises RecipeError."""
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
    nested: Any = tree["value"] if set(tree) == {"value"} else value.strip()
    for key in reversed(keys):
        nested = {key: nested}
    assert isinstance(nested, dict)
    return nested


def overridden(tree: Mapping[str, Any], override: str, recipe_keys: Collection[str]) -> dict[str, Any]:
    """recipe_keys: as `arranged` takes it."""
    return merged_trees(tree, arranged(parse_override(override), listed_kinds(tree), recipe_keys))


def arranged(tree: Mapping[str, Any], kinds: Iterable[str], recipe_keys: Collection[str]) -> dict[str, Any]:
    """A recipe's tree (or overrides of it) with every key where it belongs.

    A key of one evidence may stand without `evidence.KIND.` where no other listed kind has it: `[training]`,
    `--set training.epochs=20`. kinds: those of the recipe. recipe_keys: the recipe's own keys.
    """
    if "method" in tree:
        raise RecipeError(EARLIER)
    result: dict[str, Any] = {}
    for key, value in tree.items():
        owners = [] if key in recipe_keys else [k for k in kinds if key in evidence_section(k).model_fields]
        if len(owners) > 1:
            raise RecipeError(f"'{key}' is a key of {' and '.join(owners)}: name it evidence.{owners[0]}.{key}")
        result = merged_trees(result, {"evidence": {owners[0]: {key: value}}} if owners else {key: value})
    return result


def listed_kinds(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of evidence that a recipe's tree lists and that there are."""
    table = tree.get("evidence")
    return tuple(kind for kind in table if kind in EVIDENCE) if isinstance(table, Mapping) else ()


def merged_trees(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merged_trees(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def evidence_sections(table: Mapping[str, Any]) -> dict[str, EvidenceConfig]:
    """Every section as its kind's own type. Raises ValueError with a line for each value that is refused."""
    sections, lines = dict[str, EvidenceConfig](), list[str]()
    for kind, values in table.items():
        if values is False:
            continue
        try:
            section = evidence_section(kind)
            content = {} if values is True else values
            sections[kind] = content if isinstance(content, section) else section.model_validate(content)
        except RecipeError as error:
            lines.append(f"  evidence: {error}")
        except ValidationError as error:
            lines += refusals(error, f"evidence.{kind}.")
    if lines:
        raise ValueError("\n".join(lines))
    return sections


def refusals(error: ValidationError, prefix: str) -> list[str]:
    """One for each value that was refused."""
    return [f"  {prefix}{_place(e['loc']) or 'recipe'}: {_plain(e)}" for e in error.errors()]


def _place(keys: tuple[int | str, ...]) -> str:
    """The path of a key, without the types that pydantic names where a value may be of several."""
    return ".".join(str(key) for key in keys if "[" not in str(key))


def _unknown(key: str) -> str:
    owners = [kind for kind in sorted(EVIDENCE) if key in evidence_section(kind).model_fields]
    if owners:
        return f"unknown key: it belongs to evidence.{' or evidence.'.join(owners)}, which this recipe does not list"
    return "unknown key (docs/recipe.md lists all)"


def _plain(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(str(error["loc"][-1]))
    if error["type"] == "union_tag_invalid":
        facts = error["ctx"]
        return f"{facts['discriminator']} is '{facts['tag'][:60]}', expected one of {facts['expected_tags']}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message if len(message) <= SHOWN else f"{message[:SHOWN]} ..."
