"""N modalities, N branches: a frozen teacher each (one set of weights serves all) and a student each.

The baseline with a fused teacher has one branch instead, whose teacher pyramid is all modalities' side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trd.config import Recipe
from trd.engines.pytorch.frozen import frozen, images_at_once
from trd.errors import RecipeError
from trd.evidence.reverse_distillation.config import JOINT, branch_channels, network_branches, section
from trd.evidence.reverse_distillation.network.outputs import NetworkOutput
from trd.evidence.reverse_distillation.network.student import Student
from trd.teachers import Teacher, build_teacher
from trd.teachers.pyramid import Pyramid

BUSY = ("training",)  # what an instance of ModuleDict has beside its class's names


class FeatureScaler(nn.Module):
    """Brings every teacher channel of one modality to mean 0, deviation 1 over the training set.

    Without it a few channels of large mean or spread decide the cosine. Starts as the identity; filled by
    `training.fit`, saved with the weights.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = len(channels)
        for level, width in enumerate(channels):
            self.register_buffer(f"mean_{level}", torch.zeros(1, width, 1, 1))
            self.register_buffer(f"std_{level}", torch.ones(1, width, 1, 1))

    def set_level(self, level: int, mean: Tensor, std: Tensor) -> None:
        """mean, std: (C_l,) over the training set; a channel that never varies is left unscaled."""
        getattr(self, f"mean_{level}").copy_(mean.view(1, -1, 1, 1))
        getattr(self, f"std_{level}").copy_(torch.where(std > 1e-6, std, torch.ones_like(std)).view(1, -1, 1, 1))

    def forward(self, pyramid: Pyramid) -> Pyramid:
        return tuple(
            (features - getattr(self, f"mean_{level}")) / getattr(self, f"std_{level}")
            for level, features in enumerate(pyramid)
        )


class TunedReverseDistillation(nn.Module):
    """modality -> (B, 3, H, W) image in [0, 1], H and W multiples of 32 -> teacher and student pyramids (figure 2).

    The teacher never trains: it stays in eval mode and takes no gradient. Input mean and std are the teacher's, held
    here as non-persistent buffers, so that no caller normalises.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self,
        teacher: nn.Module,
        students: Mapping[str, Student],
        scalers: Mapping[str, FeatureScaler] | None = None,
        modalities: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.branches = tuple(students)
        self.modalities = tuple(modalities or students)
        self.teacher = teacher
        self.students = nn.ModuleDict(students)
        self.scalers = nn.ModuleDict(scalers or {})
        self._frozen_copies: dict[torch.device, nn.Module] = {}
        # not a bound method: that would be a cycle, and a network with its copies is gigabytes
        self.register_load_state_dict_post_hook(_forget_copies)  # type: ignore[no-untyped-call]  # torch's gap
        facts = cast(Teacher, teacher)
        self.register_buffer("input_mean", torch.tensor(facts.input_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("input_std", torch.tensor(facts.input_std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Mapping[str, Tensor]) -> NetworkOutput:
        return self.rebuild(self.teacher_pyramids(images))

    def rebuild(self, teachers: dict[str, Pyramid]) -> NetworkOutput:
        """What the students make of the teachers' pyramids."""
        teachers = self.branch_pyramids(teachers)
        students = {
            name: self.students[name](teachers[name], self.other_pyramids(teachers, name)) for name in self.branches
        }
        return NetworkOutput(teachers, students)

    def teacher_pyramids(self, images: Mapping[str, Tensor]) -> dict[str, Pyramid]:
        """modality -> the frozen teacher's pyramid, standardised where the recipe says so; float32."""
        return self.scaled(self.raw_teacher_pyramids(images))

    @torch.no_grad()
    def raw_teacher_pyramids(self, images: Mapping[str, Tensor]) -> dict[str, Pyramid]:
        """The frozen teacher's pyramids of all modalities, as it gives them; float32, also under autocast.

        They are what everything is measured against: bf16 makes them 3 to 7 % noise, which cost up to 0.017 image AUROC
        (docs/speed.md), while bf16 students cost nothing that could be measured.
        """
        stacked = torch.cat([images[name] for name in self.modalities])
        normalised = ((stacked - self.input_mean) / self.input_std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(stacked.device.type, enabled=False):
            teacher = self.frozen_teacher(stacked.device)
            chunks = [teacher(chunk) for chunk in torch.split(normalised, images_at_once(normalised))]
        levels = [torch.cat(level) for level in zip(*chunks, strict=True)]
        split = zip(*(level.chunk(len(self.modalities)) for level in levels), strict=True)
        return dict(zip(self.modalities, split, strict=True))

    @torch.no_grad()
    def scaled(self, raw: Mapping[str, Pyramid]) -> dict[str, Pyramid]:
        """Raw pyramids standardised where the recipe says so, in the memory order that suits what follows."""
        order = self.memory_order(next(iter(raw.values()))[0].device)
        pyramids = {n: tuple(level.contiguous(memory_format=order) for level in p) for n, p in raw.items()}
        return {name: self.scalers[name](p) if name in self.scalers else p for name, p in pyramids.items()}

    def memory_order(self, device: torch.device) -> torch.memory_format:
        """Of the pyramids that the students read.

        On CPUs they train faster on contiguous maps (BatchNorm: 111 against 138 ms per sample, 2 cores, lite size) and
        predict faster on channels-last ones, in which the teacher works, as tensor cores do.
        """
        return torch.contiguous_format if self.training and device.type == "cpu" else torch.channels_last

    def frozen_teacher(self, device: torch.device) -> nn.Module:
        """The teacher with BatchNorm folded, made once per device; `self.teacher` stays what is saved and loaded."""
        if device not in self._frozen_copies:
            self._frozen_copies[device] = frozen(self.teacher, device, torch.float32)
        return self._frozen_copies[device]

    def compile_teacher(self, mode: str | None) -> None:
        """Let torch.compile fuse the frozen teacher, in training and prediction, on the network's device."""
        device = self.input_mean.device  # as tensors name it: "cuda" is not equal to their "cuda:0"
        self._frozen_copies[device] = frozen(self.teacher, device, torch.float32, fuse=False)
        self._frozen_copies[device].compile(mode=mode)

    def branch_pyramids(self, teachers: dict[str, Pyramid]) -> dict[str, Pyramid]:
        """What each branch has to rebuild: its modality's pyramid, or all of them side by side."""
        if self.branches == self.modalities:
            return teachers
        return {JOINT: tuple(torch.cat(level, dim=1) for level in zip(*teachers.values(), strict=True))}

    def other_pyramids(self, teachers: Mapping[str, Pyramid], name: str) -> Pyramid | None:
        """What the tuners of `name` read: the other modalities' pyramids, concatenated along the channels."""
        others = [teachers[other] for other in self.branches if other != name]
        if not others:
            return None
        return others[0] if len(others) == 1 else tuple(torch.cat(level, dim=1) for level in zip(*others, strict=True))

    def train(self, mode: bool = True) -> TunedReverseDistillation:
        super().train(mode)
        self.teacher.eval()
        return self


def _forget_copies(network: TunedReverseDistillation, _: object) -> None:
    network._frozen_copies.clear()


def build_network(
    recipe: Recipe, load_teacher: bool = True, students: Mapping[str, Student] | None = None
) -> TunedReverseDistillation:
    """The one place where a recipe's numbers become a network.

    load_teacher: False leaves the teacher's weights as initialised, for a checkpoint that brings them along.
    students: branch -> one that is there already, of the recipe's size. Raises RecipeError for modalities whose names
    PyTorch keeps for itself, and as `build_teacher` does.
    """
    config, names = section(recipe), network_branches(recipe)
    taken = [name for name in (*recipe.modalities, *names) if hasattr(nn.ModuleDict, name) or name in BUSY]
    if taken:
        raise RecipeError(f"recipe '{recipe.name}': a modality cannot be called '{taken[0]}', PyTorch uses that name")
    layers = None if config.teacher.layers == "auto" else config.teacher.layers
    teacher = build_teacher(config.teacher.name, config.teacher.weights if load_teacher else None, layers)
    facts = cast(Teacher, teacher)
    channels = tuple(facts.channels)
    students = students or {
        name: Student(
            branch_channels(recipe, channels),
            others=len(names) - 1,
            use_filter=config.student.filter,
            use_amplifier=config.student.amplifier,
            blocks=config.student.blocks,
            linear=facts.linear_outputs or config.teacher.standardize,
        )
        for name in names
    }
    scalers = {name: FeatureScaler(channels) for name in recipe.modalities} if config.teacher.standardize else None
    return TunedReverseDistillation(teacher, dict(students), scalers, tuple(recipe.modalities))
