"""The frozen teacher's features of the training parts, computed once instead of in every epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trd.model.network import TunedReverseDistillation
from trd.preprocess.dataset import PreparedDataset, batches, collate
from trd.types import PreparedSample, Pyramid

BATCH = 8


class TeacherFeatures:
    """Raw teacher pyramids by sample, float32 as the teacher gives them, so that nothing is rounded.

    Only without augmentation: a turned part has other features. Filled before the first epoch in a fixed order, so a
    resumed training sees the same numbers. Made by `kept_features`.
    """

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Pyramid]] = {}

    def add(self, samples: Sequence[PreparedSample], raw: dict[str, Pyramid]) -> None:
        for index, sample in enumerate(samples):
            self._kept[sample.id] = {name: tuple(level[index] for level in levels) for name, levels in raw.items()}

    def batch(self, samples: Sequence[PreparedSample]) -> dict[str, Pyramid]:
        """modality -> raw pyramid of these samples, as `TunedReverseDistillation.raw_teacher_pyramids`."""
        kept = [self._kept[sample.id] for sample in samples]
        return {
            name: tuple(torch.stack(level) for level in zip(*(sample[name] for sample in kept), strict=True))
            for name in kept[0]
        }

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(_bytes(levels) for sample in self._kept.values() for levels in sample.values())


@torch.no_grad()
def kept_features(
    network: TunedReverseDistillation, training: PreparedDataset, limit: int, device: torch.device
) -> TeacherFeatures | None:
    """The features of all training samples on `device`, or None where they would take more than `limit` bytes."""
    features = TeacherFeatures()
    for number, batch in enumerate(batches(training, BATCH)):
        images = {name: stack.to(device) for name, stack in collate(batch).images.items()}
        features.add(batch, network.raw_teacher_pyramids(images))
        if number == 0 and features.size / len(batch) * len(training) > limit:
            return None
    return features


def _bytes(levels: Sequence[Tensor]) -> int:
    return sum(level.numel() * level.element_size() for level in levels)
