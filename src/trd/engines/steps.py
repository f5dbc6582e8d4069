"""An engine of several graphs: each takes named values and gives others, until there is a map of every branch.

Who runs a graph (`Graph`) is the runtime's module: `onnx`, `openvino`. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trd.engines.base import Maps
from trd.types import PrecisionName

Values = dict[str, NDArray[np.float32]]
"""Name -> (B, ...) array."""

IMAGE, MAP = "image.", "map."  # before the modality of an input, and the branch of a result


@dataclass(frozen=True)
class Step:
    """One call of a graph. inputs, outputs: the graph's own names -> names of values; a graph may be called by several
    steps (one teacher for all modalities)."""

    graph: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class Graph(Protocol):
    """A network made ready by a runtime. What it gives is valid until its next call."""

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]: ...


class StepEngine:
    """`Engine`: the steps one after the other; `ready[i]` runs the graph of `steps[i]`.

    one_by_one: on CPUs, where a part alone keeps the maps in the cache; its maps then do not hang on the others of its
    batch, not even by rounding.
    """

    def __init__(
        self,
        ready: Sequence[Graph],
        steps: Sequence[Step],
        *,
        device: str,
        precision: PrecisionName,
        form: str,
        one_by_one: bool,
    ) -> None:
        self.device, self.precision, self.form = device, precision, form
        self._work = tuple(zip(steps, ready, strict=True))
        self._one_by_one = one_by_one

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        stacks = {IMAGE + name: np.ascontiguousarray(stack, np.float32) for name, stack in images.items()}
        count = len(next(iter(stacks.values())))
        if not self._one_by_one:
            return self._maps(stacks)
        single = [self._maps({name: stack[i : i + 1] for name, stack in stacks.items()}) for i in range(count)]
        return {name: np.concatenate([maps[name] for maps in single]) for name in single[0]}

    def values(self, images: Mapping[str, NDArray[np.float32]]) -> Values:
        """Everything that the steps give for images of one part, and the images; valid until the next call."""
        values = {IMAGE + name: np.ascontiguousarray(stack, np.float32) for name, stack in images.items()}
        self._work_on(values)
        return values

    def _maps(self, stacks: Values) -> Maps:
        values = dict(stacks)
        self._work_on(values)
        found = {name.removeprefix(MAP): value for name, value in values.items() if name.startswith(MAP)}
        return {name: np.array(value, np.float32) for name, value in found.items()}  # copies: the next call overwrites

    def _work_on(self, values: Values) -> None:
        for step, graph in self._work:
            given = graph({own: values[name] for own, name in step.inputs.items()})
            values |= {name: given[own] for own, name in step.outputs.items()}
