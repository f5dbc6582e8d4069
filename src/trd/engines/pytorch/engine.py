"""Graphs by PyTorch, on a CPU or GPU."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trd.engines.base import Maps
from trd.engines.graphs import IMAGE, MAP, GraphForm, Graphs, Step
from trd.engines.pytorch.frozen import frozen, images_at_once
from trd.engines.pytorch.onednn import onednn_takes
from trd.engines.pytorch.out_of_memory import PREDICTION_REMEDY, explained_out_of_memory
from trd.engines.pytorch.precision import PRECISIONS


class PyTorchEngine:
    """`Engine`: every graph by a frozen copy of its module, students in `dtype`, teacher and distances in float32.

    compiled: by torch.compile; the first call of every batch size takes a minute or two. Meant for GPUs, where it fuses
    what surrounds the convolutions and replays all kernels as CUDA graphs; on CPUs oneDNN's fused operators are
    faster (docs/archive.md).
    """

    def __init__(self, graphs: Graphs, device: torch.device, dtype: torch.dtype, compiled: bool = False) -> None:
        self.device, self.precision = str(device), PRECISIONS[dtype]
        form = "torch.compile" if compiled else "oneDNN calls" if onednn_takes(device, dtype) else "eager"
        self.form = f"PyTorch, {form}"
        self._device, self._dtype, self._compiled = device, dtype, compiled
        self._forms = graphs.graphs
        with explained_out_of_memory(PREDICTION_REMEDY):
            self.modules = {name: self._ready(form) for name, form in graphs.graphs.items()}
        # steps of one graph that follow each other, as those of all modalities' teacher do, are one call
        self._calls = [(name, list(steps)) for name, steps in groupby(graphs.steps, lambda step: step.graph)]
        self._on_demand = graphs.on_demand

    def _ready(self, form: GraphForm) -> nn.Module:
        if form.role in ("scaler", "score"):
            return form.module.to(self._device).eval().requires_grad_(False)
        dtype = self._dtype if form.role == "student" else torch.float32
        module = frozen(form.module, self._device, dtype, fuse=not self._compiled)
        if self._compiled:
            module.compile(mode="reduce-overhead" if self._device.type == "cuda" else None)
        return module

    def raw_maps(self, images: Mapping[str, NDArray[np.float32]]) -> Maps:
        values = self.values(images)
        return {
            name.removeprefix(MAP): value.float().cpu().numpy()
            for name, value in values.items()
            if name.startswith(MAP)
        }

    def on_demand(self, values: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        with torch.inference_mode():
            known = {name: torch.from_numpy(np.ascontiguousarray(v)).to(self._device) for name, v in values.items()}
            for step in self._on_demand:
                self._call(step.graph, [step], known, {})
            names = [name for step in self._on_demand for name in step.outputs.values()]
            return {name: known[name].float().cpu().numpy() for name in names}

    def values(self, images: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
        """Everything that the steps give for images of a batch, and the images."""
        with torch.inference_mode(), explained_out_of_memory(PREDICTION_REMEDY):
            if self._compiled:  # what the graphs gave before may be overwritten from here on
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch does not annotate it
            values = {IMAGE + name: torch.from_numpy(stack).to(self._device) for name, stack in images.items()}
            lower: dict[str, Tensor] = {}
            for name, steps in self._calls:
                self._call(name, steps, values, lower)
            return values

    def _call(self, name: str, steps: list[Step], values: dict[str, Tensor], lower: dict[str, Tensor]) -> None:
        """lower: the values that students have read, in their precision."""
        form, module = self._forms[name], self.modules[name]

        def read(value: str) -> Tensor:
            if form.role == "student":
                if value not in lower:
                    lower[value] = values[value].to(self._dtype)
                return lower[value]
            return values[value].float()

        stacks = [[read(step.inputs[port]) for step in steps] for port in form.inputs]
        together = [stack[0] if len(stack) == 1 else torch.cat(stack) for stack in stacks]
        if form.role == "teacher":
            (image,) = together
            chunks = [module(chunk) for chunk in torch.split(image, images_at_once(image))]
            outputs = [torch.cat(level) for level in zip(*chunks, strict=True)]
        else:
            outputs = list(module(*together))
        for port, output in zip(form.outputs, outputs, strict=True):
            for step, value in zip(steps, output.chunk(len(steps)), strict=True):
                values[step.outputs[port]] = value
