"""An engine of several graphs: each takes named values and gives others, until there is a map of every branch.

Who runs a graph (`Graph`) is the runtime's module: `onnx`, `openvino`. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trd.engines.base import Maps
from trd.engines.graphs import IMAGE, MAP, Step
from trd.preprocess.threads import Steps
from trd.types import PrecisionName

Values = dict[str, NDArray[np.float32]]
"""Name -> (B, ...) array."""


class Graph(Protocol):
    """A network made ready by a runtime. What it gives is valid until its next call."""

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]: ...


def abreast(steps: Sequence[Step]) -> dict[str, int]:
    """Graph -> how many steps are due at the same time as a step of it: teachers of all modalities, then students."""
    depths: dict[str, int] = {}  # value -> how many steps come before it, one after the other
    for step in steps:
        depth = 1 + max((depths.get(name, 0) for name in step.inputs.values()), default=0)
        depths |= dict.fromkeys(step.outputs.values(), depth)
    step_depths = [depths[next(iter(step.outputs.values()))] for step in steps]
    return {step.graph: step_depths.count(depth) for step, depth in zip(steps, step_depths, strict=True)}


class StepEngine:
    """`Engine`: every step as soon as what it needs is there; `ready[i]` runs the graph of `steps[i]`.

    one_by_one: on CPUs, where a part alone keeps the maps in the cache; its maps then do not hang on the others of its
    batch, not even by rounding. There steps that do not need each other also run at once, on the threads that prepare
    parts: two networks on a core each take less time than one after the other on both.
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
        on_demand: Sequence[tuple[Step, Graph]] = (),
    ) -> None:
        self.device, self.precision, self.form = device, precision, form
        self._work = tuple(zip(steps, ready, strict=True))
        self._one_by_one = one_by_one
        self._on_demand = tuple(on_demand)

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        stacks = {IMAGE + name: np.ascontiguousarray(stack, np.float32) for name, stack in images.items()}
        count = len(next(iter(stacks.values())))
        if not self._one_by_one:
            return self._maps(stacks)
        single = [self._maps({name: stack[i : i + 1] for name, stack in stacks.items()}) for i in range(count)]
        return {name: np.concatenate([maps[name] for maps in single]) for name in single[0]}

    def on_demand(self, values: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        results = Values()
        for step, graph in self._on_demand:
            known = {**values, **results}
            inputs = {port: np.ascontiguousarray(known[name], np.float32) for port, name in step.inputs.items()}
            outputs = graph(inputs)
            results |= {name: np.array(outputs[port], np.float32) for port, name in step.outputs.items()}
        return results

    def values(self, images: Mapping[str, NDArray[np.float32]]) -> Values:
        """Everything that the steps give for images of one part, and the images; valid until the next call."""
        stacks = {IMAGE + name: np.ascontiguousarray(stack, np.float32) for name, stack in images.items()}
        return stacks | self._computed(stacks)

    def _maps(self, stacks: Values) -> Maps:
        maps = {name.removeprefix(MAP): v for name, v in self._computed(stacks).items() if name.startswith(MAP)}
        return {name: np.array(value, np.float32) for name, value in maps.items()}  # copies: the next call overwrites

    def _computed(self, stacks: Values) -> Values:
        """What the steps give."""
        futures: dict[str, Future[Values]] = {}
        steps, values = Steps(), Values()

        def run_step(step: Step, graph: Graph) -> Values:
            inputs = {
                port: stacks[name] if name in stacks else futures[name].result()[name]
                for port, name in step.inputs.items()
            }
            outputs = graph(inputs)
            return {name: outputs[port] for port, name in step.outputs.items()}

        for step, graph in self._work:
            futures |= dict.fromkeys(step.outputs.values(), steps.add(partial(run_step, step, graph)))
        steps.run(alone=not self._one_by_one)
        for future in futures.values():
            values |= future.result()
        return values
