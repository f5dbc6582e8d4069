"""How the golden student was filled and fed; the numbers themselves are in student_visible.npz."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def weights(seed: int) -> dict[str, torch.Tensor]:
    """A reference-format state dict; every tensor has a random stream of its own, seeded by its name."""
    shapes = {name: tuple(shape) for name, shape in json.loads((HERE / "student_keys.json").read_text()).items()}
    return {name: torch.from_numpy(np.asarray(_values(name, shape, seed))) for name, shape in shapes.items()}


def _values(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if leaf in ("running_mean", "bias"):
        return rng.normal(0, 0.1, shape).astype(np.float32)
    if len(shape) == 1:
        normal = rng.normal(0, 1, shape)
        return (normal if leaf.startswith("w_") else 1 + 0.1 * normal).astype(np.float32)
    scale = np.sqrt(2 / np.prod(shape[1:]))
    return (rng.standard_normal(shape, dtype=np.float32) * scale).astype(np.float32)


def pyramid(seed: int, which: int) -> tuple[torch.Tensor, ...]:
    """Teacher features of 2 images of 128 x 128: which = 1 for the own modality, 2 for the other one."""
    rng = np.random.default_rng([seed, which])
    levels = ((256, 4), (512, 8), (1024, 16))
    return tuple(
        torch.from_numpy(np.abs(rng.standard_normal((2, c, 128 // s, 128 // s), dtype=np.float32))) for c, s in levels
    )


def summary(array: torch.Tensor, count: int = 48) -> np.ndarray:
    """Mean, deviation and `count` evenly spaced elements."""
    flat = array.detach().numpy().astype(np.float64).ravel()
    return np.concatenate([[flat.mean(), flat.std()], flat[np.linspace(0, flat.size - 1, count).astype(int)]])
