"""Part `recipes`: senseless values for every field of a recipe, and recipe files with damaged text."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench import Bench

HUGE = 10**30
WRONG_TYPES: tuple[Any, ...] = ([], [1, 2, 3, 4, 5], {}, {"x": 1}, None, "nonsense", "x" * 100_000)
ANY_SIZE = ("learning_rate",)  # too large a one diverges, and training says so
NUMBERS: tuple[Any, ...] = (float("nan"), float("inf"), float("-inf"), -HUGE, HUGE, -1e308, 1e308)


def recipe_fields() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path of every field of a recipe -> pydantic's facts of it; sections themselves too."""
    from typing import Annotated, get_args, get_origin

    from pydantic import BaseModel

    from trd import config

    def walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, info in model.model_fields.items():
            yield (*path, name), info
            kind = info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from walk(kind, (*path, name))

    yield from walk(config.Recipe, ())
    for name, section in config.EVIDENCE.items():
        yield from walk(section, ("evidence", name))
    union = get_args(config.ModalityInput)[0]
    assert get_origin(config.ModalityInput) is Annotated
    for kind in get_args(union):
        yield from walk(kind, ("modalities", str(get_args(kind.model_fields["representation"].annotation)[0])))


def wrong_values(info: Any) -> list[Any]:
    """Values that cannot be meant: of another type, beyond the field's bounds, of another length; not what is valid.

    Text fields take any text, so that only other types are wrong for them.
    """
    schema = _schema(info)
    kinds = {schema.get("type")} | {option.get("type") for option in schema.get("anyOf", [])}
    fixed = [v for part in (schema, *schema.get("anyOf", [])) for v in (*part.get("enum", []), part.get("const"))]
    wrong: list[Any] = list(WRONG_TYPES)
    numeric = kinds & {"integer", "number"}
    if numeric:
        wrong += NUMBERS
        for part in (schema, *schema.get("anyOf", [])):
            wrong += [part[key] - step for key, step in (("minimum", 1), ("exclusiveMinimum", 0)) if key in part]
            wrong += [part[key] + step for key, step in (("maximum", 1), ("exclusiveMaximum", 0)) if key in part]
            if "multipleOf" in part:
                wrong.append(part.get("minimum", 0) + 1)
        wrong += [True, "1e"] + ([1.5] if "number" not in kinds else [])
    elif "boolean" in kinds:
        wrong += [2, -1, 0.5, *NUMBERS]
    elif "array" in kinds:
        wrong = [value for value in wrong if value != [] or "minItems" in json.dumps(schema)]
        wrong += [
            1,
            [HUGE] * 3,
            [True] * 3,
            [-1] * 3,
            [float("nan")] * 2,
            ["x"] * 3,
            [HUGE],
            [[1]] * 3,
            [None] * 3,
            [1.5] * 3,
            *NUMBERS,
        ]
    elif "string" in kinds and not any(fixed):
        wrong = [value for value in wrong if not isinstance(value, str)] + [1, True, *NUMBERS]
    else:
        wrong += [1, True, "", *NUMBERS]
    if "object" in kinds or "$ref" in json.dumps(schema):
        wrong = [value for value in wrong if value not in ({}, None) and not isinstance(value, dict)] + [{"x": 1}]
    return [value for value in wrong if not any(value is f or (type(value) is type(f) and value == f) for f in fixed)]


def _schema(info: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter

    kind = info.annotation
    for extra in info.metadata:
        from typing import Annotated

        kind = Annotated[kind, extra]
    try:
        return TypeAdapter(kind).json_schema()
    except Exception:
        return {"type": "object"}


Try = Callable[[], object]


def _tried(call: Try, field_name: str, shown: str, tally: Counter[str], findings: list[str], wrong: bool) -> None:
    """Whether it is refused, by name; wrong: it has to be."""
    from trd.errors import RecipeError

    tally["values"] += 1
    try:
        call()
        tally["accepted"] += 1
        if wrong:
            findings.append(f"accepted: {shown}")
    except RecipeError as error:
        tally["refused"] += 1
        if field_name not in str(error) or len(str(error)) > 5000:
            tally["unnamed"] += 1
            findings.append(f"{shown}: message of {len(str(error))} characters: {str(error)[:200]}")
    except Exception as error:
        tally["other"] += 1
        findings.append(f"{type(error).__name__}: {shown}: {str(error)[:100]}")


ODD_TEXTS = (
    b"a = " + b"[" * 100_000, b"a = " + b"{a=" * 50_000, b".".join([b"a"] * 50_000) + b" = 1", b"\xff\xfe",
    b"seed = " + b"9" * 10_000, b"[" * 5_000, b"x" * 10_000_000, b"a = '" + b"x" * 10_000_000 + b"'",
    b"[frame]\nsize = 1e999", b"[frame]\nmargin = 2020-01-01", b"modalities = 3", b"[[modalities]]", b"",
)  # fmt: skip
ODD_OVERRIDES = (
    "", "=", ".=1", "a..b=1", "seed=" + "9" * 5000, "a=" + "[" * 100_000, ".".join("a" * 50_000) + "=1", "seed=nan",
    "frame=1", "name=[", "method=trd2", "evidence=1", "evidence.x=true", "modalities={}", "classes.a=1", "classes=1",
    "training=1", "seed=1\n[frame]",
)  # fmt: skip


def recipes(bench: Bench, minutes: float, count: int | None) -> tuple[list[str], list[list[Any]], list[str]]:
    """Every field against values out of range and of other types; recipe files with damaged text."""
    from damage import mutated

    from trd.config import load_recipe, recipe_names
    from trd.config.recipe import _validated

    findings: list[str] = []
    of_values, of_texts, of_overrides = Counter[str](), Counter[str](), Counter[str]()
    base = load_recipe("lite-rgb-normals").model_dump(mode="json")
    base["modalities"] = {
        name: {"representation": name, "source": "rgb" if name == "image" else "xyz"}
        for name in ("image", "depth_image", "sobel_normals", "surface_normals")
    }
    base["evidence"] |= {"memory_bank": {}, "crossmodal_mapping": {}}
    _validated(base, "base")
    fields = list(recipe_fields())
    for path, info in fields:
        for value in wrong_values(info):
            tree = json.loads(json.dumps(base))
            place = tree
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = value
            large = path[-1] in ANY_SIZE and isinstance(value, int | float) and value > 1
            shown = f"{'.'.join(path)} = {repr(value)[:40]}"
            _tried(lambda tree=tree: _validated(tree, "it"), path[-1], shown, of_values, findings, not large)
    for override in ODD_OVERRIDES:
        _tried(
            partial(load_recipe, "lite-rgb-normals", [override]),
            "",
            f"override {override[:30]!r}",
            of_overrides,
            findings,
            False,
        )
    end = time.monotonic() + 60 * minutes
    texts = [load_recipe(name).to_toml().encode() for name in recipe_names()]
    file = bench.folder / "recipe.toml"
    for number in range(count or 20_000):
        if time.monotonic() > end:
            break
        text = ODD_TEXTS[number] if number < len(ODD_TEXTS) else mutated(texts[number % len(texts)], number)
        file.write_bytes(text)
        _tried(lambda: load_recipe(file), "", f"text {number} ({text[:40]!r})", of_texts, findings, False)
    head = ["what", "tried", "refused (RecipeError)", "accepted", "other errors", "messages without the field"]
    rows = [[name, t["values"], t["refused"], t["accepted"], t["other"], t["unnamed"]]
            for name, t in ((f"wrong values for {len(fields)} fields", of_values), ("odd overrides", of_overrides),
                            ("damaged recipe files", of_texts))]  # fmt: skip
    return head, rows, findings
