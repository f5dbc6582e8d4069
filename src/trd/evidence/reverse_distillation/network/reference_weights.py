"""Student weights in the reference implementation's format: names and shapes translated both ways.

A reference checkpoint is a dict of two such state dicts, `student_rgb` and `student_depth` (Eyecandies:
`student_normals`). Only the paper's size exists in that format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trd.errors import CheckpointError
from trd.evidence.initialisation import WithoutInitialisation
from trd.evidence.reverse_distillation.network.student import Student
from trd.files import write_whole

PAPER_CHANNELS = (256, 512, 1024)
_BLOCK_PARTS = {"reduce": 1, "middle": 2, "expand": 3}
_FIRST_PATH = (1, 3, 4)  # number of the first convolution of the fine, middle and coarse path


def reference_name(name: str) -> str:
    """The reference's name of one tensor of our `Student`: `filter.levels.0.2.1.bias` -> its `conv_a.4.bias`."""
    part, *rest = name.split(".")
    if part in ("filter", "amplifier"):
        _, level, layer, inside, leaf = rest
        stack = "projector_filter" if part == "filter" else "projector_amply"
        return f"{stack}.conv_{'abc'[int(level)]}.{3 * int(layer) // 2 + int(inside)}.{leaf}"
    if rest[0] == "paths":
        _, level, layer, inside, leaf = rest
        kind = "conv" if inside == "0" else "bn"
        return f"bn.{kind}{_FIRST_PATH[int(level)] + int(layer) // 2}.{leaf}"
    if rest[0] == "mixes":
        return f"decoder.w_{'abc'[int(rest[1])]}"
    if rest[0] == "code":
        _, block, stage, inside, leaf = rest
        root, resampled = f"bn.bn_layer.{block}", "downsample"
    else:
        _, layer, block, stage, inside, leaf = rest
        root, resampled = f"decoder.layer{int(layer) + 1}.{block}", "upsample"
    if stage == "shortcut":
        return f"{root}.{resampled}.{inside}.{leaf}"
    return f"{root}.{'conv' if inside == '0' else 'bn'}{_BLOCK_PARTS[stage]}.{leaf}"


def load_reference_student(state_dict: Mapping[str, Tensor]) -> Student:
    """A paper-size student with the weights of a reference state dict.

    Raises CheckpointError naming the first tensor that is missing, unknown, or has another shape.
    """
    with WithoutInitialisation():
        student = Student(PAPER_CHANNELS)
    expected = student.state_dict()
    names = {name: reference_name(name) for name in expected}
    for name, stored_name in names.items():
        if stored_name not in state_dict:
            raise CheckpointError(
                f"reference student: tensor '{stored_name}' is missing; is this a paper-size TRD student?"
            )
        if state_dict[stored_name].shape != expected[name].shape:
            raise CheckpointError(
                f"reference student: tensor '{stored_name}' has shape {tuple(state_dict[stored_name].shape)}, "
                f"expected {tuple(expected[name].shape)}"
            )
    unknown = sorted(set(state_dict) - set(names.values()))
    if unknown:
        raise CheckpointError(f"reference student: unknown tensor '{unknown[0]}' ({len(unknown)} in all)")
    student.load_state_dict({name: state_dict[stored_name] for name, stored_name in names.items()})
    return student


def reference_state_dict(student: Student) -> dict[str, Tensor]:
    """The weights of a paper-size student under the reference's names."""
    return {reference_name(name): tensor for name, tensor in student.state_dict().items()}


def reference_keys(modalities: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """modality -> the names under which a reference checkpoint may hold its student.

    The first modality is `student_rgb`. The second is `student_depth`, also where that image shows normals (the
    reference calls them so for MVTec 3D-AD), or `student_normals`.
    """
    colour, other = modalities
    return {
        colour: ("student_rgb",),
        other: ("student_normals", "student_depth") if other == "normals" else (f"student_{other}",),
    }


def read_reference_checkpoint(path: Path, modalities: Sequence[str]) -> dict[str, Student]:
    """modality -> student, from a reference `.pth` file, unpickled with weights only.

    Raises CheckpointError naming the file and, inside it, the student or tensor that is missing, unknown or misshapen.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"the reference checkpoint {path} does not exist") from error
    except Exception as error:  # torch.load raises half a dozen types on foreign files
        raise CheckpointError(f"{path} cannot be read as a PyTorch weight file: {error}") from error
    expected_keys = reference_keys(modalities)
    stored = sorted(map(str, content)) if isinstance(content, Mapping) else []
    students = {}
    for modality, keys in expected_keys.items():
        key = next((key for key in keys if key in stored), None)
        if key is None or not isinstance(content[key], Mapping):
            raise CheckpointError(
                f"{path} holds no '{keys[0]}' for the modality '{modality}' (it holds: "
                f"{', '.join(stored[:4]) or 'no dict'}); a reference checkpoint is a dict of two student state dicts; "
                "does the recipe fit it?"
            )
        try:
            students[modality] = load_reference_student(content[key])
        except CheckpointError as error:
            raise CheckpointError(f"{path}, '{key}': {error}") from error
    return students


def write_reference_checkpoint(path: Path, students: Mapping[str, Student]) -> None:
    """The students of a colour modality and another one, as a file that the reference implementation reads."""
    keys = reference_keys(tuple(students))
    content = {keys[name][0]: reference_state_dict(student) for name, student in students.items()}
    write_whole(path, lambda temporary: torch.save(content, temporary))
