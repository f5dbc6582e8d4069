"""Sphinx extension: writes every route of the station into rest-reference.md, from the document that the station itself
gives out as /v1/openapi.json, at every build, so that the page cannot lag behind the code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE = "rest-reference"
PLACE = "<!-- routes -->"
GROUPS = {  # title -> what the paths begin with; the first that fits
    "Session": ("/v1/session",),
    "Operation": ("/healthz", "/readyz", "/metrics", "/v1/settings"),
    "Administration": ("/v1/administration", "/v1/tokens", "/v1/backup.zip"),
    "Live and counts": ("/v1/live", "/v1/stats"),
    "Thresholds": ("/v1/classes/{class_name}/threshold",),
    "Recalibration": ("/v1/classes/{class_name}/recalibration", "/v1/classes/{class_name}/estimates"),
    "Models": ("/v1/models", "/v1/classes/{class_name}/models"),
    "Lessons": ("/v1/lessons", "/v1/classes/{class_name}/lessons"),
    "Teaching": ("/v1/teaching", "/v1/jobs", "/v1/classes/{class_name}/shadow"),
    "Watch": ("/v1/classes/{class_name}/watch",),
    "Alarms": ("/v1/alarm-rules", "/v1/classes/{class_name}/alarm-rules"),
    "Verdicts, review, events": (
        "/v1/inspections/{number}/verdicts",
        "/v1/verdicts",
        "/v1/review",
        "/v1/classes/{class_name}/kinds",
        "/v1/events",
    ),
    "Inspections": ("/v1/inspections", "/v1/classes/{class_name}/inspections", "/v1/classes/{class_name}/export.zip"),
    "Classes": ("/v1/classes",),
}
OTHER = "Further routes"
PROBLEM = "application/problem+json"


class Route(NamedTuple):
    method: str
    path: str
    entry: Mapping[str, Any]


def document() -> dict[str, Any]:
    """The OpenAPI document; no station is started for it, the routes alone say what it holds."""
    import logging
    from types import SimpleNamespace

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every plugin of its own

    import trd
    from trd_station.api.app import create_app
    from trd_station.station import Station

    return create_app(cast(Station, SimpleNamespace(version=trd.__version__))).openapi()


def routes(openapi: Mapping[str, Any]) -> list[Route]:
    return [
        Route(method.upper(), path, entry) for path, ways in openapi["paths"].items() for method, entry in ways.items()
    ]


def page(openapi: Mapping[str, Any]) -> str:
    """Markdown: a section per group, a heading per route."""
    grouped: dict[str, list[Route]] = {}
    for route in routes(openapi):
        grouped.setdefault(_group(route.path), []).append(route)
    parts = []
    for title in (*GROUPS, OTHER):
        if title in grouped:
            parts.append(f"## {title}\n")
            parts += [_section(route, openapi) for route in grouped[title]]
    return "\n".join([*parts, *_objects(openapi)])


def _group(path: str) -> str:
    return next((title for title, starts in GROUPS.items() if path.startswith(starts)), OTHER)


def _section(route: Route, openapi: Mapping[str, Any]) -> str:
    entry = route.entry
    lines = [f"### `{route.method} {route.path}`", ""]
    if entry.get("description"):
        lines += [" ".join(entry["description"].split()), ""]
    role = entry.get("x-role", "admin")
    lines += ["Role: none, anyone may ask." if role == "none" else f"Role: `{role}` or higher.", ""]
    if "parameters" in entry:
        lines += ["| parameter | in | type | default |", "| --- | --- | --- | --- |"]
        for one in entry["parameters"]:
            words = kind(one["schema"], openapi, null=False)
            lines.append(f"| `{one['name']}` | {one['in']} | {words} | {_default(one['schema'], one['required'])} |")
        lines.append("")
    for media, content in entry.get("requestBody", {}).get("content", {}).items():
        lines += list(_body(media, content.get("schema", {}), openapi))
    lines += list(_answers(entry["responses"], openapi))
    return "\n".join(lines)


def _body(media: str, schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[str]:
    whole = resolved(schema, openapi)
    for one in whole.get("anyOf", ()):  # a body that may be left out is that or null
        whole = resolved(one, openapi) if "$ref" in one else whole
    if not whole.get("properties"):
        yield from (f"Body: `{media}`, {kind(whole, openapi)}.", "")
        return
    yield from (f"Body: `{media}`", "", "| field | type | default |", "| --- | --- | --- |")
    for name, one in whole["properties"].items():
        yield f"| `{name}` | {kind(one, openapi)} | {_default(one, name in whole.get('required', ()))} |"
    yield ""


def _answers(responses: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[str]:
    """One line: status, media type and object of what comes when all is well, and where problems are told."""
    good = []
    for status, answer in sorted(responses.items()):
        media = []
        for one, content in answer.get("content", {}).items():
            named = f" {kind(content['schema'], openapi)}" if "$ref" in content.get("schema", {}) else ""
            media.append(f"`{one}`{named}")
        if status != "default":
            good.append(f"{status} {' or '.join(media) or 'without a body'}")
    problems = f"; else a [problem](station-api.md#errors), `{PROBLEM}`" if "default" in responses else ""
    yield from (f"Answer: {', '.join(good)}{problems}.", "")


def _objects(openapi: Mapping[str, Any]) -> Iterator[str]:
    """The fields of everything that an answer holds, by name."""
    waiting = [route.entry["responses"] for route in routes(openapi)]
    names: set[str] = set()
    while waiting:
        for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(waiting.pop()))):
            name = reference.rpartition("/")[2]
            if name not in names:
                names.add(name)
                waiting.append(resolved({"$ref": reference}, openapi))
    yield "## What answers hold\n"
    for name in sorted(names):
        schema = openapi["components"]["schemas"][name]
        yield f"({_target(name)})=\n### `{name}`\n"
        if "description" in schema:
            yield " ".join(schema["description"].split()) + "\n"
        yield "| field | type |\n| --- | --- |"
        for field, one in schema["properties"].items():
            yield f"| `{field}` | {kind(one, openapi)} |"
        yield ""


def _target(name: str) -> str:
    return f"answer-{name.lower()}"


def resolved(schema: Mapping[str, Any], openapi: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference points to, or itself."""
    if "$ref" not in schema:
        return schema
    found: Any = openapi
    for key in schema["$ref"].removeprefix("#/").split("/"):
        found = found[key]
    return cast(Mapping[str, Any], found)


def kind(schema: Mapping[str, Any], openapi: Mapping[str, Any], null: bool = True) -> str:
    """A JSON schema in words, for a cell of a table. null: False where that only says that it may be left out."""
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = resolved(schema, openapi)
    if name and "properties" in schema:
        return f"[{name}](#{_target(name)})"
    if "anyOf" in schema:
        kinds = [kind(one, openapi) for one in schema["anyOf"] if null or one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    name = schema.get("type", "any")
    if name == "object" and schema.get("additionalProperties") and isinstance(schema["additionalProperties"], dict):
        return f"fields of {kind(schema['additionalProperties'], openapi)}"
    if name == "array":
        each = ", ".join(kind(one, openapi) for one in schema.get("prefixItems", ()))
        return f"`[{each}]`" if each else f"list of {kind(schema.get('items', {}), openapi)}"
    words = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}.get(name, name)
    words = {"date-time": "time", "binary": "file"}.get(schema.get("format", ""), words)
    return words + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if abs(high or 0) >= 2**53 - 1:  # what a float holds, no bound that means anything
        low, high = (None if (low or 0) < 0 else low), None
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    parts = [
        f", {low:g} or more" if low is not None else "",
        f", up to {high:g}" if high is not None else "",
        f", above {schema['exclusiveMinimum']:g}" if "exclusiveMinimum" in schema else "",
        f", below {schema['exclusiveMaximum']:g}" if "exclusiveMaximum" in schema else "",
        f", {shortest} to {longest} characters" if shortest and longest else "",
        f", up to {longest} characters" if longest and not shortest else "",
        f", `{schema['pattern']}`" if "pattern" in schema and "|" not in schema["pattern"] else "",
    ]
    return "".join(parts)


def _default(schema: Mapping[str, Any], required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(schema['default'])}`" if schema.get("default") is not None else ""


def setup(app: Sphinx) -> dict[str, bool]:
    def fill(_: Sphinx, docname: str, source: list[str]) -> None:
        if docname == PAGE:
            if PLACE not in source[0]:
                raise ValueError(f"docs/{PAGE}.md has no line '{PLACE}' for the routes")
            source[0] = source[0].replace(PLACE, page(document()))

    def always(*_: object) -> list[str]:
        return [PAGE]  # the page's file does not tell that a route has changed

    app.connect("source-read", fill)
    app.connect("env-get-outdated", always)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
