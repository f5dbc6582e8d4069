"""Types that several answers share, and how a route names its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, WithJsonSchema

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Scored = Literal["ok", "review", "reject"]
Decision = Literal["ok", "review", "reject", "invalid"]
Judgement = Literal["good", "defect", "unsure"]
Role = Literal["viewer", "operator", "engineer", "admin"]


def describe(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`; statuses: 200 where none is given."""
    return {status: {"model": model} for status in statuses or (200,)}


class StationApp(FastAPI):
    """FastAPI puts a route's own type, which is any object here, beside the model that `describe` names: only the model
    stays in the document."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for way in (way for ways in document["paths"].values() for way in ways.values()):
            for content in (
                media for answer in way["responses"].values() for media in answer.get("content", {}).values()
            ):
                if "$ref" in content.get("schema", {}):
                    content["schema"] = {"$ref": content["schema"]["$ref"]}
        return document
