"""What a package says of itself: manifest.json, validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trd.engines.graphs import Role

FORMAT_VERSION = 3
Runtime = Literal["onnx", "openvino"]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=8 * 2**30)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Frozen):
    """A file of the package. sha256, bytes: of its content. word: bytes of its numbers, when the first bytes of all of
    them are stored first, then the second ones, and so on; 1 when it is stored as it is."""

    sha256: Digest
    bytes: Size
    word: Literal[1, 4] = 1


class GraphFiles(_Frozen):
    """A graph. model: ONNX, or OpenVINO's XML; weights: of OpenVINO, "" for ONNX. precision: what it computes in."""

    model: Name
    weights: str = ""
    role: Role
    precision: Literal["fp32", "bf16", "int8"]


class StoredStep(_Frozen):
    """`trd.engines.graphs.Step`."""

    graph: Name
    inputs: dict[str, str]
    outputs: dict[str, str]


class Manifest(_Frozen):
    """detector: id of the training. precision: of the students. on_demand: `trd.engines.graphs.Graphs.on_demand`.
    parts: digests of the good parts that were learned from. tolerance: by how many deviations of good parts' raw maps a
    machine may differ from the golden ones. tools: what the package was made with. licences: of what is inside, name ->
    text or name of the licence."""

    format_version: Literal[3] = 3
    trd_version: str
    detector: str
    runtime: Runtime
    precision: Literal["fp32", "bf16", "int8"]
    graphs: dict[str, GraphFiles]
    steps: tuple[StoredStep, ...]
    on_demand: tuple[StoredStep, ...] = ()
    golden: tuple[str, ...]
    parts: tuple[str, ...] = ()
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    tools: Mapping[str, str]
    licences: Mapping[str, str]
    members: dict[str, Member]
