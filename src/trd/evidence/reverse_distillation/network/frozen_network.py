"""A trained network made ready for inference."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trd.engines.pytorch.frozen import frozen
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput, StudentOutput


class FrozenNetwork(nn.Module):
    """A trained network for inference: the same pyramids from folded students in precision `dtype`.

    Shares the teacher's frozen copy and the scalers with `network`, which stays as it is. Gives what a map needs:
    the teachers' pyramids (float32) and each student's, whose filtered and amplified parts are None.

    compiled: by torch.compile; the first call of every batch size takes a minute or two. Meant for GPUs, where it fuses
    what surrounds the convolutions and replays all kernels as CUDA graphs; on CPUs oneDNN's fused operators are
    faster (docs/speed.md). An output is valid until the next call then.
    """

    def __init__(
        self, network: TunedReverseDistillation, device: torch.device, dtype: torch.dtype, compiled: bool = False
    ) -> None:
        super().__init__()
        self._network = (network,)  # in a tuple: not to be registered, moved or saved a second time
        self.dtype = dtype
        self._compiled = compiled
        self.students = nn.ModuleDict(
            {name: frozen(network.students[name], device, dtype, fuse=not compiled) for name in network.branches}
        )
        if compiled:
            mode = "reduce-overhead" if device.type == "cuda" else None
            network.compile_teacher(mode)
            for student in self.students.values():
                student.compile(mode=mode)

    def forward(self, images: Mapping[str, Tensor]) -> NetworkOutput:
        if self._compiled:
            # What the graphs gave before may be overwritten from here on.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch's gap
        (network,) = self._network
        teachers = network.branch_pyramids(network.teacher_pyramids(images))
        inputs = {name: tuple(level.to(self.dtype) for level in pyramid) for name, pyramid in teachers.items()}
        outputs = {}
        for name, student in self.students.items():
            full = student(inputs[name], network.other_pyramids(inputs, name))
            outputs[name] = StudentOutput(None, None, full.plain, full.fused)
        return NetworkOutput(teachers, outputs)
