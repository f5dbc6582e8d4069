"""The training loss (paper, section 3.3): every pyramid that a student predicts is pulled to its teacher's."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from trd.evidence.reverse_distillation.network.outputs import NetworkOutput, StudentOutput
from trd.teachers.pyramid import Pyramid


def pyramid_distance(student_pyramid: Pyramid, teacher_pyramid: Pyramid) -> Tensor:
    """Scalar: sum over levels of the batch mean of 1 - cos, ONE cosine per sample over all C * H * W values."""
    per_level = [
        1 - _cosine(student.flatten(1), teacher.detach().flatten(1)).mean()
        for student, teacher in zip(student_pyramid, teacher_pyramid, strict=True)
    ]
    return torch.stack(per_level).sum()


def _cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """(B, N) twice -> (B,). As F.cosine_similarity, which normalises copies of both first: twice the memory traffic."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return cast(Tensor, torch.linalg.vecdot(a, b, dim=1))

    lengths = (dot(student, student) * dot(teacher, teacher)).sqrt()
    return dot(student, teacher) / lengths.clamp_min(1e-8)


def relative_squared_error(student_pyramid: Pyramid, teacher_pyramid: Pyramid) -> Tensor:
    """Scalar, ours: sum over levels of the batch mean of |S - T|^2 / |T|^2 per sample.

    Equals 1 - cos^2 at the best scale, and fixes that scale, which the residual distance needs.
    """
    per_level = []
    for student, teacher in zip(student_pyramid, teacher_pyramid, strict=True):
        target = teacher.detach().flatten(1)
        error = (student.flatten(1) - target).square().sum(dim=1)
        per_level.append((error / target.square().sum(dim=1).clamp_min(1e-12)).mean())
    return torch.stack(per_level).sum()


DISTANCES = {"cosine": pyramid_distance, "squared": relative_squared_error}


def branch_loss(student: StudentOutput, teacher: Pyramid, distance: str = "cosine") -> dict[str, Tensor]:
    """The loss terms of one branch by the name of the pyramid: filtered, amplified, plain, fused (those that exist)."""
    with torch.autocast(teacher[0].device.type, enabled=False):  # dot products of a million values need float32
        return {
            name: DISTANCES[distance](tuple(level.float() for level in pyramid), teacher)
            for name, pyramid in student._asdict().items()
            if pyramid is not None and not (name == "plain" and pyramid is student.fused)
        }


def network_loss(output: NetworkOutput, distance: str = "cosine") -> dict[str, dict[str, Tensor]]:
    """modality -> term -> scalar. The total loss is the plain sum of all: equal weights, as published."""
    return {name: branch_loss(student, output.teachers[name], distance) for name, student in output.students.items()}
