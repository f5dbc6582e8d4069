"""Resumable training state as one safetensors file: Lightning's checkpoint tree without pickle.

Tensors go into the file's tensor section; everything else goes as JSON into its header, with each tensor's place held
by a reference. Writing is whole or not at all, so a kill while saving leaves the previous checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trd.errors import CheckpointError
from trd.files import write_whole

_TENSOR, _PAIRS, _TUPLE = "__tensor__", "__pairs__", "__tuple__"


class SafetensorsIO(CheckpointIO):
    """Lightning plugin: `trainer.save_checkpoint` and `ckpt_path` use the format of this module."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_packed(checkpoint, tensors))
        write_whole(Path(path), lambda temporary: save_file(tensors, temporary, {"trd": tree}))

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_state(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any]:
    """The tree that `save_checkpoint` was given. Raises CheckpointError for a damaged file."""
    try:
        with safe_open(path, framework="pt") as file:
            tree = json.loads((file.metadata() or {})["trd"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, error) from error
    unpacked = _unpacked(tree, tensors)
    assert isinstance(unpacked, dict)
    return unpacked


def read_epoch(path: Path) -> int:
    """The epoch, counted from 0, after which a checkpoint was written; reads the file's header alone.

    Raises CheckpointError for a damaged file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads((file.metadata() or {})["trd"])["epoch"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"the training checkpoint {path} is damaged: {error}; delete it to start this class from the beginning"
    )


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {_TENSOR: name}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _packed(item, tensors) for key, item in value.items()}
        return {_PAIRS: [[_packed(key, tensors), _packed(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_TUPLE: [_packed(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_packed(item, tensors) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be stored in a training checkpoint")


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if _PAIRS in value:
        return {_unpacked(key, tensors): _unpacked(item, tensors) for key, item in value[_PAIRS]}
    if _TUPLE in value:
        return tuple(_unpacked(item, tensors) for item in value[_TUPLE])
    return {key: _unpacked(item, tensors) for key, item in value.items()}
