"""Parts of lessons with made-up channels."""

from __future__ import annotations

import numpy as np
import torch

from trd.evidence.known_defects.channels import Channels
from trd.learning.parts import LessonPart

SIDE = 12


def part(
    channels: Channels, seed: int, kind: str = "good", channel: int = 0, marked: bool = True, seen: float = 0.3
) -> LessonPart:
    """Noise; a defect is a square of 4 x 4 cells where one channel, which no branch has, is higher, and the first
    branch by `seen`."""
    random = np.random.default_rng(seed)
    plain = random.normal(size=(len(channels.centre), SIDE, SIDE)).astype(np.float32)
    square = np.zeros((SIDE, SIDE), bool)
    row, column = random.integers(SIDE - 4, size=2)
    square[row : row + 4, column : column + 4] = True
    if channel:
        plain[channel][square] += 3.0
        plain[0][square] += seen
    scored = np.ones((SIDE, SIDE), bool)
    return LessonPart(f"{kind}/{seed}", kind, torch.from_numpy(plain), scored, square if marked else None)
